"""When a search is over, and why: every rule by itself, and which of them comes first."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import Budget
from lib_optim.search.stopping import left_of, phase_of, why_over

IMAGES = 4


def trials(values: Sequence[float | None], starts: int = 0, seconds: float = 10.0) -> list[Trial]:
    """Trials with these values, the first `starts` of them presets; None is one that failed."""
    return [
        Trial(
            number, "failed" if value is None else "complete", {}, "preset: x" if number < starts else "sampler: tpe",
            value=value, seconds={"merge": seconds / 2, "generate": seconds / 2},
        )
        for number, value in enumerate(values)
    ]  # fmt: skip


def why(budget: Budget, made: Sequence[Trial]) -> str:
    return why_over(budget, made, IMAGES * len(made), IMAGES)


def test_trials_are_counted_when_they_are_scored() -> None:
    budget = Budget(3)
    assert why(budget, trials([1, None, 2])) == ""
    assert why(budget, trials([1, None, 2, 3])) == "All 3 trials are done."
    assert why(Budget(1), trials([1])) == "The one trial is done."


def test_no_trial_begins_that_would_go_beyond_the_images() -> None:
    budget = Budget(100, images=15)
    assert why(budget, trials([1, None])) == ""
    assert "budget of 15 images is spent: one more trial would make 4" in why(budget, trials([1, None, 3]))
    assert why(Budget(100, images=16), trials([1, None, 3])) == ""


def test_minutes_are_those_at_work() -> None:
    assert why(Budget(100, minutes=0.5), trials([1, 2], seconds=14.9)) == ""
    assert "The 0.5 minutes of work are spent" in why(Budget(100, minutes=0.5), trials([1, 2], seconds=15.1))
    waited = Trial(0, "complete", {}, "sampler: tpe", value=1.0, seconds={"merge": 1.0}, started=0.0, finished=9e9)
    assert why(Budget(100, minutes=1), [waited]) == ""


def test_the_target_ends_it_at_once_and_in_either_sign() -> None:
    budget = Budget(100, target=-0.5)
    assert why(budget, trials([-0.6, None, -0.51])) == ""
    assert why(budget, trials([-0.6, None, -0.5])) == "Trial 2 reached the target of -0.5."
    assert "reached" in why(Budget(100, target=0.0), trials([0.0]))
    assert why(Budget(100), trials([1e9])) == ""


@pytest.mark.parametrize(
    ("values", "starts", "delta", "over"),
    [
        ([5, 1, 1], 1, 0.0, False),
        ([5, 1, 1, 1], 1, 0.0, True),
        ([5, 1, 1, 6], 1, 0.0, False),
        ([5, 1, 1, 6, 1, 1, 1], 1, 0.0, True),
        ([5, 5, 5, 5], 1, 0.0, True),  # as good is not better
        ([5, 1, None, 1, None], 1, 0.0, False),  # a failure says nothing
        ([5, 1, 1, 1, 1], 5, 0.0, False),  # presets have no patience to try
        ([1, 1.1, 1.2, 1.3], 1, 0.5, True),  # small steps, each too small; and
        ([1, 1.3, 1.6, 1.7], 1, 0.5, False),  # their sum is not
    ],
)
def test_patience(values: list[float | None], starts: int, delta: float, over: bool) -> None:
    sentence = why(Budget(100, patience=3, min_delta=delta), trials(values, starts))
    assert bool(sentence) is over
    if over:
        assert "3 proposed trials in a row did not beat the best" in sentence
        assert ("by more than 0.5" in sentence) is (delta > 0)


def test_the_first_rule_that_holds_is_named() -> None:
    budget = Budget(3, images=12, minutes=0.1, patience=1, target=2.0)
    assert "reached the target" in why(budget, trials([1, 2, 1]))
    assert "All 3 trials" in why(budget, trials([1, 1, 1]))
    assert "minutes" in why(budget, trials([1, 1]))


def test_how_many_trials_a_budget_allows() -> None:
    assert Budget(30).most_trials(8) == 30
    assert Budget(30, images=100).most_trials(8) == 12
    assert Budget(10, images=100).most_trials(8) == 10


def test_the_phase_counts_the_design_and_then_the_proposals() -> None:
    running = Trial(0, "running", {}, "preset: x")
    assert str(phase_of(30, 8, [])) == "start design 0/8"
    assert str(phase_of(30, 8, [running])) == "start design 1/8"
    assert str(phase_of(30, 8, trials([1, 2, 3], starts=3))) == "start design 3/8"
    assert str(phase_of(30, 3, trials([1, 2, 3], starts=3))) == "search 0/27"
    proposed = Trial(9, "running", {}, "sampler: gp")
    assert str(phase_of(30, 3, [*trials([1, 2, 3, 4], starts=3), proposed])) == "search 2/27"


def test_a_start_that_failed_is_one_proposal_more() -> None:
    assert str(phase_of(30, 3, trials([1, None, 3, 4], starts=3))) == "search 1/28"


def test_a_budget_smaller_than_the_design() -> None:
    assert str(phase_of(5, 8, trials([1, 2], starts=2))) == "start design 2/5"
    assert str(phase_of(5, 8, trials([1] * 5, starts=5))) == "search 0/0"


def test_what_is_left_of_a_budget() -> None:
    budget = Budget(10, images=40, minutes=5.0, patience=3, target=0.9)
    made = [
        Trial(0, "complete", {}, "rescored: 0", value=0.1),
        Trial(1, "complete", {}, "sampler: tpe", value=0.1, seconds={"merge": 60.0}),
        Trial(2, "failed", {}, "sampler: tpe", seconds={"merge": 60.0}),
        Trial(3, "running", {}, "sampler: tpe"),
    ]
    assert left_of(budget, made, 12) == Budget(8, images=28, minutes=3.0, patience=3, target=0.9)
    assert left_of(Budget(3), made, 12) == Budget(1)
    assert left_of(Budget(2), made, 12) is None
    assert left_of(Budget(10, images=12), made, 12) is None
    assert left_of(Budget(10, minutes=2.0), made, 12) is None
