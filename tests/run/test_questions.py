"""What is asked next, and what an answer implies."""

from __future__ import annotations

from collections.abc import Sequence

from lib_optim.run.comparisons import implied
from lib_optim.run.questions import Known, Question, next_grid, next_pair
from lib_optim.scoring.preference import Beat, fitted


def known(beats: Sequence[Beat] = (), images: int = 1, trials: int = 8, seed: int = 0) -> Known:
    answered = {frozenset({(b.winner, 0), (b.loser, 0)}) for b in beats}
    return Known(fitted(beats), {trial: range(images) for trial in range(trials)}, answered, seed)


def trials(question: Question | None) -> set[int]:
    assert question is not None
    return {trial for trial, _ in question.shown}


ORDERED = [Beat(i + 1, i) for i in range(5) for _ in range(3)]  # 5 is the strongest, 0 the weakest


def test_a_new_trial_meets_the_best_first_then_who_is_near_and_unsure() -> None:
    first = next_pair(6, range(6), known(ORDERED))
    assert trials(first) == {5, 6}
    assert first is not None
    assert first.best == 5
    lost = next_pair(6, range(6), known([*ORDERED, *[Beat(5, 6)] * 3]))
    assert trials(lost) & {2, 3, 4}, "who lost meets the middle, not the weakest"
    assert lost is not None
    assert lost.best is None


def test_no_pair_of_pictures_is_asked_twice_and_images_take_turns() -> None:
    state = known(images=3, trials=3)
    seen: set[frozenset[tuple[int, int]]] = set()
    images = []
    while (question := next_pair(2, [0, 1], Known(state.strengths, state.images, seen, 0))) is not None:
        assert frozenset(question.shown) not in seen
        assert len({image for _, image in question.shown}) == 1, "only the merge differs"
        seen.add(frozenset(question.shown))
        images.append(question.image)
    assert len(seen) == 6
    assert sorted(images[:3]) == sorted(images[3:]) == [0, 1, 2]
    assert next_pair(0, [], state) is None


def test_sides_are_drawn_by_seed_and_say_nothing() -> None:
    asked = [next_pair(1, [0], known(trials=2, seed=seed)) for seed in range(60)]
    left = sum(question is not None and question.shown[0][0] == 1 for question in asked)
    assert 15 < left < 45
    assert next_pair(1, [0], known(trials=2, seed=7)) == next_pair(1, [0], known(trials=2, seed=7))


def test_a_grid_holds_all_that_wait_the_best_and_others() -> None:
    question = next_grid([6, 7], range(6), known(ORDERED), 4)
    assert {6, 7, 5} < trials(question)
    assert len(trials(question)) == 4
    assert question is not None
    assert question.best == 5
    many = next_grid([1, 2, 3, 4, 5, 6], [0], known(), 4)
    assert trials(many) == {0, 1, 2, 3}, "one place is kept for somebody known"
    assert next_grid([1], [], known(), 4) is None
    asked = frozenset({(0, 0), (1, 0)})
    assert next_grid([1], [0], Known(fitted([]), {0: [0], 1: [0]}, {asked}, 0), 4) is None


def test_what_an_answer_implies() -> None:
    assert implied([1, 2], 2, 1) == [Beat(2, 1)]
    assert implied([1, 2], None, None) == [Beat(1, 2, True)]
    grid = implied([1, 2, 3, 4], 3, 1)
    assert set(grid) == {Beat(3, 1), Beat(3, 2), Beat(3, 4), Beat(2, 1), Beat(4, 1)}
    assert len(grid) == 5
    assert len(implied([1, 2, 3], None, None)) == 3
