"""The guards of a run: which images are no pictures, recorded like scores, and what comes of it.

What the guards see in an image is one number, recorded as a score by a judge of the name ``guard``: a resume, a fork
and a later pass need not look again, and an older Optim reads it without harm. The pass says which guards fail a trial.

A guard that one of the models itself trips on a payload, merged with nothing, is off for that payload: the payload may
be meant so (a picture in black), or that model cannot make it, and all merges would fail. That is noted, and said once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from lib_optim.plan.records import ImageRecord, Score, Trial
from lib_optim.run.passes import RunPass
from lib_optim.run.store import Store
from lib_optim.scoring.guards import BITS, alike, flaws, thumbnail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["GUARD", "Guards", "carry_waived", "guarded"]

GUARD = "guard"
"""The key under which what the guards saw is recorded."""
_REASON = "No picture: "
_WAIVED = "guards off"
_MODELS = {"preset: unchanged": "Model A itself", "preset: all A": "Model A itself", "preset: all B": "Model B itself"}
_WORDS = {
    "black": "the image of payload {payload} with seed {seed} is black, as of numbers that are none (NaN)",
    "blank": "the image of payload {payload} with seed {seed} is blank",
    "clipped": "the image of payload {payload} with seed {seed} is burnt out: nothing but pure colours",
    "duplicate": "the image of payload {payload} with seed {seed} is the same as that of another seed",
}


class Guards:
    """What the guards of a run saw. Used under the guard of the score sheet, but for `look`'s pixels.

    Args:
        store: Where it is recorded.
        say: Told once, a sentence, of a guard that is off for a payload.
    """

    def __init__(self, store: Store, say: Callable[[str], None]) -> None:
        self._store, self._say = store, say
        self._seen: dict[int, dict[int, int]] = {}
        self._thumbnails: dict[int, dict[int, NDArray[np.int16]]] = {}
        self._model: dict[int, str] = {}  # a trial that is one model alone: what it is called
        text = store.note(_WAIVED)
        self._waived: dict[str, int] = json.loads(text) if text else {}

    def begin(self, trial: Trial) -> None:
        """Take note of a trial."""
        if trial.origin in _MODELS:
            self._model[trial.number] = _MODELS[trial.origin]
        for number in [n for n in self._thumbnails if n != trial.number]:
            del self._thumbnails[number]

    def load(self, score: Score) -> bool:
        """Take over a recorded score if it is what the guards saw; return whether it is."""
        if score.scorer != GUARD:
            return False
        self._seen.setdefault(score.trial, {})[score.image] = int(score.raw)
        return True

    def unseen(self, trial: int, images: Mapping[int, ImageRecord], run_pass: RunPass) -> list[int]:
        """Return the images that are to be shown to `look`: those never seen, and all others of their payloads."""
        if not run_pass.record.combining.guards:
            return []
        known = self._seen.get(trial, {})
        there = {i for i, image in images.items() if not image.skipped and _counts(run_pass, i)}
        payloads = {run_pass.jobs[i].payload.name for i in there if i not in known}
        # One that is to be made again comes after those that are there, and is compared with them.
        payloads |= {job.payload.name for job in run_pass.jobs if job.index not in images}
        return sorted(i for i in there if run_pass.jobs[i].payload.name in payloads)

    def look(self, record: ImageRecord, image: Image.Image, run_pass: RunPass) -> None:
        """Look at an image, and record what is wrong with it."""
        if not run_pass.record.combining.guards or not _counts(run_pass, record.index):
            return
        own, small = flaws(image), thumbnail(image)
        others = self._thumbnails.setdefault(record.trial, {})
        job = run_pass.jobs[record.index]
        same = [
            index
            for index, other in others.items()
            if run_pass.jobs[index].payload.name == job.payload.name
            and run_pass.jobs[index].seed != job.seed
            and alike(small, other)
        ]
        others[record.index] = small
        seen = own | (BITS["duplicate"] if same and not own else 0)  # that two blank images are alike is no news
        if self._seen.setdefault(record.trial, {}).get(record.index) != seen:
            self._seen[record.trial][record.index] = seen
            self._store.add_score(Score(record.trial, record.index, GUARD, float(seen), created=time.time()))

    def waive(self, trial: int, run_pass: RunPass) -> None:
        """Put those guards off that a model alone trips."""
        for index, bits in self._seen.get(trial, {}).items() if trial in self._model else ():
            job = run_pass.jobs[index]
            for name in self._tripped(bits, run_pass, job.payload.name):
                self._waived[job.payload.name] = self._waived.get(job.payload.name, 0) | BITS[name]
                self._store.set_note(_WAIVED, json.dumps(self._waived, ensure_ascii=False))
                what = _WORDS[name].format(payload=f"'{job.payload.name}'", seed=job.seed)
                self._say(
                    f"{self._model[trial]} trips a guard: {what}. That guard is off for this payload; otherwise no "
                    "merge could be judged by it."
                )

    def reason(self, trial: int, images: Collection[int], run_pass: RunPass) -> str:
        """Return why `trial` fails because one of `images` is no picture, one sentence, or an empty string."""
        for index in sorted(images):
            job = run_pass.jobs[index]
            for name in self._tripped(self._seen.get(trial, {}).get(index, 0), run_pass, job.payload.name):
                return _REASON + _WORDS[name].format(payload=f"'{job.payload.name}'", seed=job.seed) + "."
        return ""

    def _tripped(self, bits: int, run_pass: RunPass, payload: str) -> list[str]:
        active = bits & ~self._waived.get(payload, 0)
        return [name for name in run_pass.record.combining.guards if active & BITS[name]]


def guarded(reason: str) -> bool:
    """Tell whether a trial that failed for this reason failed by a guard."""
    return reason.startswith(_REASON)


def carry_waived(source: Store, target: Store) -> None:
    """Have a fork keep those guards off that its parent's models tripped."""
    target.set_note(_WAIVED, source.note(_WAIVED))


def _counts(run_pass: RunPass, index: int) -> bool:
    return run_pass.jobs[index].payload.score_weight > 0
