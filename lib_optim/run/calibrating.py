"""Judges tried on pictures that a person sorted: one judge after the other, on a thread of its own.

The pictures belong to no run: nothing is generated, merged or recorded, and the host is not touched.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lib_optim.plan.errors import OptimError, PlanError, ScorerError
from lib_optim.plan.infotext import infotext_prompt
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.base import ImageContext
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.picture_text import infotext_of, opened_picture
from lib_optim.scoring.prompts import without_markup
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.worker import ScoringWorker

__all__ = ["Calibrating", "Opinion", "Sample", "unfit"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """A picture that a person sorted.

    Attributes:
        name: As its file is called.
        grade: The pile, higher is better.
        prompt: What judges compare it with, where the file holds no prompt of its own; may be empty.
        data: The file.
    """

    name: str
    grade: float
    prompt: str
    data: bytes


@dataclass
class Opinion:
    """What one judge said.

    Attributes:
        scorer: Its id.
        raw: Sample number to raw score.
        problem: Why it could not judge all of them; one sentence or empty.
    """

    scorer: str
    raw: dict[int, float] = field(default_factory=dict)
    problem: str = ""


class Calibrating:
    """Has judges score samples. `start` once; any thread may look at `opinions`, `at` and `running`.

    Args:
        samples: The pictures.
        specs: The judges, with their options and devices.
        models_dir: Weights of judges.
    """

    def __init__(self, samples: Sequence[Sample], specs: Sequence[ScorerSpec], models_dir: Path) -> None:
        self._samples, self._specs, self._models_dir = tuple(samples), tuple(specs), models_dir
        self.opinions = [Opinion(spec.id) for spec in specs]
        self.at = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="optim calibrate", daemon=True)

    @property
    def running(self) -> bool:
        """Whether judges are still at work."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Have it end after the picture that is being judged."""
        self._stop.set()

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for its end; return whether it has ended."""
        self._thread.join(timeout)
        return not self.running

    def _run(self) -> None:
        for spec, opinion in zip(self._specs, self.opinions, strict=True):
            if self._stop.is_set():
                break
            self.at = f"{scorer_row(spec.id).title} …"
            try:
                self._ask(spec, opinion)
            except OptimError as error:
                opinion.problem = str(error)
            except Exception:  # noqa: BLE001 (one judge must not take the others with it)
                _log.exception("Trying the judge %s failed", spec.id)
                opinion.problem = "Optim met an error of its own; the trace is in the program's log."
        self.at = ""

    def _ask(self, spec: ScorerSpec, opinion: Opinion) -> None:
        problem = unfit(spec, self._models_dir)
        if problem:
            raise ScorerError(problem)

        def heard(sample: int, _: int, scorer: str, raw: float) -> None:
            opinion.raw[sample] = raw
            self.at = f"{scorer_row(scorer).title}: {len(opinion.raw)} of {len(self._samples)}"

        def failed(_: int, error: ScorerError) -> None:
            opinion.problem = opinion.problem or str(error)

        def told(sentence: str) -> None:
            self.at = sentence

        # Samples are judged one by one, each as a trial of its own, so that one that fails spares the others.
        worker = ScoringWorker([spec], self._models_dir, heard, failed, told)
        try:
            for number, sample in enumerate(self._samples):
                if self._stop.is_set() or (opinion.problem and not opinion.raw):
                    break  # a judge that cannot be loaded would fail on every picture
                context = ImageContext(payload=sample.name, index=number)
                image = opened_picture(sample.name, sample.data)
                prompt = infotext_prompt(infotext_of(image)) or sample.prompt
                worker.submit(number, 0, image, without_markup(prompt), context)
                worker.drain()
        finally:
            worker.close()


def unfit(spec: ScorerSpec, models_dir: Path) -> str:
    """Return why a judge cannot be tried on single pictures; one sentence or empty."""
    try:
        row = scorer_row(spec.id)
    except PlanError as error:
        return str(error)
    if row.manual:
        return "Your own eyes have sorted the pictures already; choose a judge that computes."
    if row.across:
        return f"{row.title} compares the images of a payload with each other, so it can't judge single pictures."
    problems = scorer_problems(spec, models_dir)
    return problems[0].sentence if problems else ""
