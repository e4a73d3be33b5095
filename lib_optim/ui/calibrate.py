"""Judges tried on pictures that the user sorted, as the page asks for it.

POST /optim/api/calibrate_sample {session, name, grade, prompt, data}   one picture: pile 0 (bad) to 2 (good), the
                                  prompt for a file that holds none, the file in base64
POST /optim/api/calibrate {session, form}      have the judges of the form score them
POST /optim/api/calibrate_stop                 end it, and forget the pictures
GET  /optim/api/calibrate                      what came of it

The pictures stay in memory until others come or the user stops it; they are written nowhere.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import PlanError, Problem, RunError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.picture_text import opened_picture
from lib_optim.ui.form_shape import checked_form
from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.run.calibrating import Calibrating, Opinion, Sample

__all__ = ["MOST_BYTES", "CalibrateApi"]

GRADES = (0, 1, 2)
MOST = 60
MOST_BYTES = 16_000_000


class CalibrateApi:
    """The routes. One sitting at a time: another page's pictures replace these.

    Args:
        models_dir: Returns the folder with the weights of judges.
        judges: Returns the judges that a form holds, and appends what is wrong with them.
        active: Returns whether a run is going on, whose judges would share the memory.
    """

    def __init__(
        self,
        models_dir: Callable[[], Path],
        judges: Callable[[Mapping[str, Any], list[Problem]], tuple[ScorerSpec, ...]],
        active: Callable[[], bool],
    ) -> None:
        self._models_dir, self._judges, self._active = models_dir, judges, active
        self._guard = threading.RLock()
        self._session = ""
        self._samples: list[Sample] = []
        self._job: Calibrating | None = None

    def sample(self, call: Call) -> dict[str, Any]:
        """Take one picture; return how many there are."""
        from lib_optim.run.calibrating import Sample

        session, name = (str(call.body.get(field) or "")[:200] for field in ("session", "name"))
        grade, prompt = call.body.get("grade"), str(call.body.get("prompt") or "")[:10_000]
        if grade not in GRADES or isinstance(grade, bool):
            raise Refused(400, "'grade' must be 0 (bad), 1 (middling) or 2 (good).")
        if not session or not name:
            raise Refused(400, "A picture needs 'session' and 'name'.")
        data = call.file()
        if len(data) > MOST_BYTES:
            raise Refused(413, f"{name} is larger than {MOST_BYTES // 1_000_000} MB.")
        sample = Sample(name, float(grade), prompt, data)
        opened_picture(name, data)  # one that can't be read is refused by its name
        with self._guard:
            self._refuse_second()
            if session != self._session:
                self._session, self._samples, self._job = session, [], None
            if len(self._samples) >= MOST:
                raise RunError(f"There are {MOST} pictures already, which is as many as are taken.")
            self._samples.append(sample)
            return {"count": len(self._samples)}

    def start(self, call: Call) -> dict[str, Any]:
        """Have the judges begin.

        Raises:
            RunError: A run is going on, or these pictures are not there (any more).
            PlanError: There is something wrong with a judge of the form.
        """
        from lib_optim.run.calibrating import Calibrating

        problems: list[Problem] = []
        form = call.body.get("form")
        specs = self._judges(checked_form(form), problems)
        if problems:
            raise PlanError(problems)
        with self._guard:
            self._refuse_second()
            if self._active():
                raise RunError("A run is going on; its judges need the memory. Pause does not free it: stop it first.")
            if not self._samples or call.body.get("session") != self._session:
                raise RunError("The pictures are not there; choose them again.")
            self._job = Calibrating(self._samples, specs, self._models_dir())
            self._job.start()
        return self.state()

    def stop(self) -> dict[str, Any]:
        """End it, and forget the pictures."""
        with self._guard:
            self._session, self._samples = "", []
            if self._job is not None:
                self._job.stop()
        return self.state()

    def state(self) -> dict[str, Any]:
        """Return the pictures, what each judge said, how far it agrees, and the suggested weights once all are done.

        ``samples``: name and grade; ``judges``: id, title, ``raw`` (a number or null per sample), problem, ``share``,
        ``error``, ``pairs``, ``sure``; ``suggestion``: weights, share, best, reason, or null.
        """
        with self._guard:
            job, samples = self._job, list(self._samples)
        running = job is not None and job.running
        opinions = job.opinions if job is not None and samples else []
        judges = [_judge_json(opinion, samples) for opinion in opinions]
        whole = {
            opinion.scorer: [_better(opinion, i) for i in range(len(samples))]
            for opinion in opinions
            if len(opinion.raw) == len(samples)
        }
        advice = None
        if whole and not running:
            from lib_optim.scoring.agreement import suggestion

            found = suggestion([sample.grade for sample in samples], whole)
            advice = {
                "weights": dict(found.weights),
                "share": _finite(found.share),
                "best": found.best,
                "reason": found.reason,
            }
        return {
            "state": "running" if running else "done" if job else "idle",
            "at": job.at if job is not None and running else "",
            "session": self._session,
            "samples": [{"name": sample.name, "grade": int(sample.grade)} for sample in samples],
            "judges": judges,
            "suggestion": advice,
        }

    def _refuse_second(self) -> None:
        if self._job is not None and self._job.running:
            raise RunError("Judges are at work on pictures already; wait for them, or stop them.")


def _judge_json(opinion: Opinion, samples: list[Sample]) -> dict[str, Any]:
    from lib_optim.scoring.agreement import agreement
    from lib_optim.scoring.registry import scorer_row

    there = sorted(opinion.raw)
    found = agreement([samples[i].grade for i in there], [_better(opinion, i) for i in there])
    return {
        "id": opinion.scorer,
        "title": scorer_row(opinion.scorer).title,
        "raw": [opinion.raw.get(i) for i in range(len(samples))],
        "lower_is_better": scorer_row(opinion.scorer).lower_is_better,
        "problem": opinion.problem,
        "share": _finite(found.share),
        "error": _finite(found.error),
        "pairs": found.pairs,
        "sure": found.sure,
    }


def _better(opinion: Opinion, sample: int) -> float:
    """The raw score, turned round where lower is better."""
    from lib_optim.scoring.registry import scorer_row

    raw = opinion.raw[sample]
    return -raw if scorer_row(opinion.scorer).lower_is_better else raw


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
