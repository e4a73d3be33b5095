"""Who is verified, and which evidence decides."""

from __future__ import annotations

from lib_optim.plan.payload import MAX_SEED, Payload, fresh_seeds
from lib_optim.plan.records import Trial
from lib_optim.search.verification import again_origin, finalists, reruns, together, verified_number


def trial(number: int, value: float | None, x: float | None = None) -> Trial:
    state = "complete" if value is not None else "failed"
    return Trial(number, state, {"x": float(number) if x is None else x}, "sampler: tpe", value=value)


def again(number: int, made: int, state: str = "complete") -> Trial:
    return Trial(number, state, {}, again_origin(made), value=1.0 if state == "complete" else None, pass_id=2)  # type: ignore[arg-type]


SEARCH = [trial(0, 1.0), trial(1, 5.0), trial(2, None), trial(3, 4.0), trial(4, 5.0), trial(5, 3.0)]


def numbers(trials: list[Trial]) -> list[int]:
    return [trial.number for trial in trials]


def test_the_best_come_first_and_the_earlier_of_equals() -> None:
    assert numbers(finalists(SEARCH, {}, 3)) == [1, 4, 3]
    assert numbers(finalists(SEARCH, {}, 0)) == []
    assert numbers(finalists(SEARCH, {}, 99)) == [1, 4, 3, 5, 0]


def test_the_same_merge_is_a_finalist_once() -> None:
    assert numbers(finalists([*SEARCH, trial(6, 4.5, x=1.0)], {}, 3)) == [1, 4, 3]


def test_who_cannot_be_made_again_gives_way_to_the_next() -> None:
    made = reruns([again(6, 1), again(7, 4, "failed"), again(8, 3, "skipped"), again(9, 5, "running")])
    assert numbers(finalists(SEARCH, made, 2)) == [1, 5]


def test_a_verification_in_which_everything_fails_comes_to_an_end() -> None:
    many = [trial(number, 10.0 - number) for number in range(9)]
    made = reruns([again(20 + number, number, "failed") for number in range(3)])
    assert numbers(finalists(many, made, 2)) == []


def test_origins() -> None:
    assert verified_number(again(7, 12)) == 12
    assert verified_number(trial(3, 1.0)) is None
    assert reruns([again(7, 1, "failed"), again(9, 1)])[1].number == 9


def test_images_count_alike() -> None:
    assert together(1.0, 2.0, 4.0, 4.0) == 3.0


def test_fresh_seeds_are_new_and_the_same_every_time() -> None:
    payloads = (Payload("a", seed=5, n_iter=3, subseed=1), Payload("b", seed=MAX_SEED, n_iter=4, subseed=2))
    fresh = fresh_seeds(payloads, "fresh seeds 7")
    assert fresh == fresh_seeds(payloads, "fresh seeds 7") != fresh_seeds(payloads, "fresh seeds 8")
    for old, new in zip(payloads, fresh, strict=True):
        taken = {(old.seed + i) % (MAX_SEED + 1) for i in range(old.images)}
        assert taken.isdisjoint((new.seed + i) % (MAX_SEED + 1) for i in range(new.images))
        assert (new.name, new.n_iter) == (old.name, old.n_iter)
        assert new.subseed != old.subseed
