"""What scores are measured by: frozen after the start design, recorded, and the same in whatever goes on from there."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from lib_optim.plan.calibration import Calibration
from lib_optim.plan.combining import Combining
from lib_optim.plan.passes import PassRecord
from lib_optim.plan.payload import Payload
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import Budget, RunPlan, SamplerSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.passes import RunPass
from lib_optim.run.store import Store
from lib_optim.run.valuing import LEAST, Values, carry, due
from lib_optim.run.wanted import automatic_keys, can_hand_over, rating_keys
from lib_optim.scoring.combine import trial_value
from tests.rig import Rig, payload

PRESETS = ("all A", "all B", "half", "GRAD_V", "GRAD_A")
JUDGES = (
    ScorerSpec("technical"),
    ScorerSpec("background", 2.0, payloads=("hill",)),
    ScorerSpec("diversity", 0.0, payloads=("f*",)),
)


def trial(number: int, origin: str, state: str = "complete") -> Trial:
    return Trial(number, state, {}, origin)  # type: ignore[arg-type]


def numbers(trials: Sequence[Trial], starts: int, most: int = 30, alone: bool = True) -> list[int]:
    return [found.number for found in due(trials, starts, most, alone)]


DESIGN = [trial(i, f"preset: {i}") for i in range(6)]


def test_it_is_time_when_the_start_design_is_over() -> None:
    assert numbers(DESIGN[:5], 6) == []
    assert numbers(DESIGN, 6) == [0, 1, 2, 3, 4, 5]
    assert numbers(DESIGN[:5], 6, most=5) == [0, 1, 2, 3, 4]  # the budget ends it
    waiting = [*DESIGN[:5], trial(5, "preset: 5", "waiting"), trial(6, "sampler: tpe")]
    assert numbers(waiting, 6) == []  # made ahead of a person who has not rated the last of the design
    assert numbers([*DESIGN[:5], trial(5, "preset: 5", "failed")], 6) == [0, 1, 2, 3, 4]


def test_later_trials_change_nothing() -> None:
    """Neither a resume nor another worker may come to other numbers: proposed trials do not enter a whole design."""
    later = [*DESIGN, trial(6, "sampler: tpe"), trial(7, "requeued: 3"), trial(8, "sampler: tpe", "running")]
    assert numbers(later, 6) == numbers(DESIGN, 6)
    assert numbers(later, 9) == numbers(DESIGN, 6)  # three starts were tried by an earlier run already


def test_without_a_start_design_the_first_trials_stand_in() -> None:
    proposed = [trial(i, "sampler: tpe") for i in range(9)]
    assert numbers(proposed[: LEAST - 1], 0) == []
    assert numbers(proposed, 0) == list(range(LEAST))
    taken = [trial(i, f"rescored: {i}") for i in range(7)]
    assert numbers([*taken, *proposed[7:]], 0) == list(range(7))


def test_workers_of_a_shared_study_wait_for_each_other() -> None:
    half = [*DESIGN[:2], trial(7, "sampler: tpe"), *(trial(i, "sampler: tpe") for i in range(8, 12))]
    assert numbers(half, 6, alone=False) == []  # the other worker has the rest of the design
    few = [*DESIGN[:2], *(trial(i, "sampler: tpe") for i in (2, 3, 5, 6))]
    assert numbers(few, 2, alone=False) == []  # trial 4 is under way there, and belongs to the first five
    assert numbers([*few[:4], trial(4, "sampler: tpe", "failed"), *few[4:]], 2, alone=False) == [0, 1, 2, 3, 5]


# --- who judges what ---------------------------------------------------------------------------------------------


def test_an_image_needs_the_judges_of_its_payload() -> None:
    judges = (*JUDGES, ScorerSpec("manual", payloads=("fox",)))
    made = RunPass(1, 1, PassRecord("search", (payload("fox"), payload("hill")), judges))
    assert automatic_keys(made, 0) == {"technical", "diversity"}
    assert automatic_keys(made, 1) == {"technical", "background"}
    assert (rating_keys(made, 0), rating_keys(made, 1)) == ({"manual"}, set())
    assert [spec.id for spec in made.record.deciding] == ["technical", "background", "manual"]
    assert can_hand_over(made)
    alone = (ScorerSpec("technical", payloads=("hill",)), ScorerSpec("manual"))
    assert not can_hand_over(RunPass(1, 1, PassRecord("search", (payload("fox"), payload("hill")), alone)))


def test_what_did_not_change_is_measured_as_before(tmp_path: Any) -> None:
    fox, hill = Payload("fox", "a fox"), Payload("hill", "a hill")
    first = RunPass(1, 1, PassRecord("search", (fox, hill), (ScorerSpec("technical"), ScorerSpec("background"))))
    with contextlib.closing(Store(tmp_path / "a.db")) as store, contextlib.closing(Store(tmp_path / "b.db")) as fork:
        values = Values(store)
        raw = {n: {i: {"technical": n / 10 + i, "background": n / 7} for i in (0, 1)} for n in range(5)}
        values.freeze(first, values.measure(first, raw, ()))
        known = values.calibration(first)
        assert known is not None
        assert known.row("technical", "hill").median == 1.2  # type: ignore[union-attr]
        assert Values(store).calibration(first) == known

        weights = dataclasses.replace(first.record, scorers=(ScorerSpec("technical", 3.0), ScorerSpec("background")))
        second = RunPass(2, 2, weights)
        rows = values.inherited(second, [first])
        assert values.whole(second, rows)
        assert values.measure(second, {}, rows).rows == known.rows
        other = dataclasses.replace(weights, payloads=(fox, dataclasses.replace(hill, prompt="a mountain")))
        rows = values.inherited(RunPass(2, 2, other), [first])
        assert {row.payload for row in rows} == {"fox"}
        assert not values.whole(RunPass(2, 2, other), rows)

        carry(store, fork, first, RunPass(1, 1, other))
        assert {(row.scorer, row.payload) for row in Values(fork).inherited(RunPass(1, 1, other), [])} == {
            ("technical", "fox"), ("background", "fox"),
        }  # fmt: skip


# --- a run ---------------------------------------------------------------------------------------------------------


def calibration(rig: Rig, name: str | None = None) -> Calibration:
    with contextlib.closing(Store(rig.folder_of(name).database)) as store:
        run_pass = RunPass(1, 1, PassRecord("search", (), ()))
        found = Values(store).calibration(run_pass)
    assert found is not None
    return found


def expected(rig: Rig, plan: RunPlan, number: int, name: str | None = None) -> float:
    raw: dict[int, dict[str, float]] = {}
    for score in rig.stored(name).scores:
        if score.trial == number:
            raw.setdefault(score.image, {})[score.scorer] = score.raw
    deciding = [spec for spec in plan.scorers if spec.weight]
    jobs = RunPass(1, 1, PassRecord("search", plan.with_drawn_seeds().payloads, ())).jobs
    return trial_value(raw, jobs, deciding, how=plan.combining, calibration=calibration(rig, name))


def test_a_run_freezes_its_calibration(rig: Rig) -> None:
    """And a resume and a fork keep it; the target, which every value reaches, does not end the start design."""
    plan = rig.plan(
        scorers=JUDGES, combining=Combining("auto", "harmonic", "geometric", 0.5),
        payloads=(payload("fox", n_iter=2), payload("hill")),
        sampler=SamplerSpec("random", presets=PRESETS), budget=Budget(6, target=-50.0), verify=VerifySpec(0),
    )  # fmt: skip
    snapshot = rig.run(plan)
    assert "reached the target of -50" in snapshot["sentence"]
    assert len(snapshot["trials"]) == 5
    frozen = calibration(rig)
    assert frozen.trials == (0, 1, 2, 3, 4)
    shown = snapshot["calibration"]
    assert shown["frozen"]
    assert {(row["scorer"], row["payload"], row["n"]) for row in shown["rows"]} == {
        ("technical", "fox", 10), ("technical", "hill", 5), ("background", "hill", 5), ("diversity", "fox", 10),
    }  # fmt: skip
    assert snapshot["watched"] == [{"scorer": "diversity", "lower": False, "parted": None}]
    scores = rig.stored().scores
    seen = [s.raw for s in scores if s.trial == 3 and s.scorer == "diversity"]
    assert snapshot["trials"][3]["watched"] == {"diversity": pytest.approx(sum(seen) / len(seen))}
    assert not [s for s in scores if s.scorer == "background" and s.image < 2]  # it is not asked about the fox
    for made in rig.stored().trials:
        assert made.value == pytest.approx(expected(rig, plan, made.number), abs=1e-12)
    assert len({made.value for made in rig.stored().trials}) == 5

    # Cut off between the note and the values: a resume makes them anew.
    name = rig.folder_of().name
    values = [made.value for made in rig.stored().trials]
    with contextlib.closing(sqlite3.connect(rig.folder_of().database)) as db, db:
        db.execute("UPDATE trials SET value = 0.25")
    rig.folder_of().write_plan(dataclasses.replace(rig.folder_of().read_plan(), budget=Budget(6)))
    rig.manager.resume(name, trials=6)
    rig.end()
    assert calibration(rig, name) == frozen
    stored = rig.stored(name).trials
    assert [made.value for made in stored[:5]] == values
    assert stored[5].value == pytest.approx(expected(rig, plan, 5), abs=1e-12)

    # In a fork with other weights the judges are measured as before, from its first trial on.
    heavier = (dataclasses.replace(JUDGES[0], weight=5.0), *JUDGES[1:])
    changed = dataclasses.replace(rig.folder_of(name).read_plan(), scorers=heavier, budget=Budget(1), name="fork")
    forked, _ = rig.manager.fork(name, changed)
    rig.end()
    assert calibration(rig, forked).rows == frozen.rows
    for made in rig.stored(forked).trials:
        assert made.value == pytest.approx(expected(rig, changed, made.number, forked), abs=1e-12)
    assert rig.stored(forked).trials[0].value != values[0]


def test_who_judges_what_is_checked(rig: Rig) -> None:
    def problems(*judges: ScorerSpec, **changes: Any) -> list[str]:
        return [problem.sentence for problem in rig.manager.check(rig.plan(scorers=judges, **changes)).problems]

    both = ScorerSpec("background")
    assert problems(ScorerSpec("technical", payloads=("fox", "H*")), both) == []
    [sentence] = problems(ScorerSpec("technical", payloads=("hil",)), both, verify=VerifySpec(0))
    assert "'hil', which is none of this run" in sentence.split(".")[0]
    assert "'hill'" in sentence
    judge = ScorerSpec("technical", payloads=("fox",))
    assert "No judge looks at the payload 'hill'" in problems(judge, verify=VerifySpec(0))[0]
    held_out = VerifySpec(1, (payload("sea"),))
    [sentence] = problems(judge, ScorerSpec("background", payloads=("hill",)), verify=held_out)
    assert "held-out payload 'sea'" in sentence
    assert "only watched" in problems(ScorerSpec("technical", 0.0))[0]
    assert "worst seed" in problems(both, combining=Combining(spread=2.0))[0]
