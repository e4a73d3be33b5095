"""What people said of images side by side: recorded as they said it, and what follows from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lib_optim.plan.judging import Comparison
from lib_optim.run.wanted import rating_keys
from lib_optim.scoring.preference import Beat, Strengths, fitted, value_of

if TYPE_CHECKING:
    from lib_optim.run.passes import RunPass
    from lib_optim.run.store import Store

__all__ = ["Comparisons", "implied", "taken_over"]

Raw = Mapping[int, Mapping[str, float]]

_TELLING = ("better", "tie")


class Comparisons:
    """All comparisons of a run. Used under the guard of the score sheet.

    Of several answers about the same images the last one stands; one that was undone does not. What was said stays in
    the record all the same.

    Args:
        store: Where they are recorded.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._all = store.comparisons()
        self._fits: dict[int, Strengths] = {}
        self._find_standing()

    def put(self, comparison: Comparison) -> bool:
        """Record a comparison, or that one is undone; return False for a request id that was seen before."""
        if not self._store.add_comparison(comparison):
            return False
        self._all.append(comparison)
        self._fits.pop(comparison.pass_id, None)
        self._find_standing()
        return True

    def _find_standing(self) -> None:
        undone = {comparison.undoes for comparison in self._all if comparison.outcome == "undone"}
        last: dict[frozenset[tuple[int, int]], Comparison] = {}
        for comparison in self._all:
            if comparison.outcome != "undone" and comparison.request not in undone:
                last.pop(comparison.pictures, None)
                last[comparison.pictures] = comparison
        self.standing: tuple[Comparison, ...] = tuple(last.values())
        self._met = {trial for c in self.standing if c.outcome in _TELLING for trial, _ in c.shown}

    def by_request(self, request: str) -> Comparison | None:
        """Return the comparison that this click made, or None."""
        return next((c for c in self._all if c.request == request and c.outcome != "undone"), None)

    def answered(self, pass_id: int) -> set[frozenset[tuple[int, int]]]:
        """Return the sets of pictures of a pass that somebody judged."""
        return {c.pictures for c in self.standing if c.pass_id == pass_id}

    def given(self, trial: int, ever: bool = False) -> int:
        """Return how many answers `trial` got that it waited for; `ever`: those that were undone among them."""
        among = self._all if ever else self.standing
        return len({c.pictures for c in among if trial in c.subjects and c.outcome not in ("broken", "undone")})

    def met(self, trial: int) -> bool:
        """Whether an answer says something of how strong `trial` is."""
        return trial in self._met

    def broken(self, trial: int) -> set[int]:
        """Return the images of `trial` that somebody called broken."""
        return {image for c in self.standing if trial in c.broken for number, image in c.shown if number == trial}

    def strengths(self, run_pass: RunPass) -> Strengths:
        """Return the strengths of the trials of a pass; an image counts as much as its payload's score weight says."""
        if run_pass.id not in self._fits:
            weights = _weights(run_pass)
            self._fits[run_pass.id] = fitted(
                beat
                for c in self.standing
                if c.pass_id == run_pass.id and c.outcome in _TELLING and weights[c.shown[0][1]] > 0
                for beat in implied([t for t, _ in c.shown], c.best, c.worst, weights[c.shown[0][1]])
            )
        return self._fits[run_pass.id]

    def added(
        self, run_pass: RunPass, trial: int, raw: Raw, images: Collection[int], unrated: Collection[int] = ()
    ) -> Raw:
        """Return the raw scores of a trial with its strength, as if that were a rating 0 to 10 of each of `images`.

        Args:
            run_pass: Its pass.
            trial: Its number.
            raw: Image to scorer key to raw score.
            images: Those that count.
            unrated: Those that were left to the automatic judges: they get it only if somebody compared the trial.
        """
        way = run_pass.judging
        if way is None:
            return raw
        value = round(value_of(self.strengths(run_pass).mean(trial)), 6)
        judged = [image for image in images if way.key in rating_keys(run_pass, image)]
        given = judged if self.met(trial) else [image for image in judged if image not in unrated]
        return {**raw, **{image: {**raw.get(image, {}), way.key: value} for image in given}}


def taken_over(said: Comparisons, images: Mapping[int, Mapping[int, int]], pass_id: int) -> Iterator[Comparison]:
    """Yield what stands of comparisons for a run that has taken over images, as rows of its own record.

    Args:
        said: What was said in the parent.
        images: By trial, which has the same number in both: the image's index there to its index here.
        pass_id: The pass here.
    """
    for comparison in said.standing:
        here = [(trial, images.get(trial, {}).get(image)) for trial, image in comparison.shown]
        shown = tuple((trial, image) for trial, image in here if image is not None)
        if len(shown) == len(here) and len({image for _, image in shown}) == 1:
            yield dataclasses.replace(comparison, pass_id=pass_id, shown=shown)


def implied(trials: Sequence[int], best: int | None, worst: int | None, weight: float = 1.0) -> list[Beat]:
    """Return what an answer says of each two of `trials`: the best beats all others, and all others the worst.

    Args:
        trials: Those that were shown.
        best: The best of them; None if all are alike.
        worst: The worst of them; None if all are alike.
        weight: How much each of it counts.
    """
    if best is None or worst is None:
        pairs = [(a, b) for i, a in enumerate(trials) for b in trials[i + 1 :]]
        return [Beat(a, b, True, weight) for a, b in pairs]
    middle = [trial for trial in trials if trial not in (best, worst)]
    won = [Beat(best, other, weight=weight) for other in (*middle, worst)]
    return won + [Beat(other, worst, weight=weight) for other in middle]


def _weights(run_pass: RunPass) -> dict[int, float]:
    """Return how much each image counts, on average 1 where it counts at all."""
    weights = {job.index: max(job.payload.score_weight, 0.0) for job in run_pass.jobs}
    counting = [weight for weight in weights.values() if weight > 0]
    return {image: weight * len(counting) / sum(counting) for image, weight in weights.items()}
