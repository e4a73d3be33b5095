"""What the page sees of a run: state, progress, trials and images, as one JSON snapshot."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lib_optim.plan.bounds import Value
from lib_optim.plan.payload import ImageJob
from lib_optim.plan.records import ImageRecord, Trial, Verdict
from lib_optim.run.axes import pareto_json
from lib_optim.run.trial_rows import means, next_rows, trial_row
from lib_optim.run.watching import watched_json
from lib_optim.search.stopping import is_rescored

if TYPE_CHECKING:
    from lib_optim.run.passes import RunPass

__all__ = ["RunState", "RunView"]

RunState = Literal[
    "idle", "starting", "running", "pausing", "paused", "waiting", "stopping", "finished", "failed"
]  # fmt: skip
_ERRORS_KEPT = 20


class RunView:
    """Thread-safe picture of one run (or of none). The worker writes, any thread reads."""

    def __init__(self) -> None:
        self._guard = threading.RLock()
        self._reset()

    def forget(self) -> None:
        """Show no run."""
        with self._guard:
            self._reset()

    def _reset(self) -> None:
        self.revision = 0
        self.state: RunState = "idle"
        self.sentence = "Choose two models and click Start."
        self._run: dict[str, Any] | None = None
        self._jobs: tuple[ImageJob, ...] = ()
        self._trials: dict[int, tuple[int, Trial]] = {}
        self._images: dict[int, dict[int, ImageRecord]] = {}
        self._scores: dict[tuple[int, int], dict[str, tuple[float, float | None]]] = {}
        self._best: Trial | None = None
        self._chosen: int | None = None
        self._calibration: dict[str, Any] | None = None
        self._watched: list[dict[str, Any]] | None = None
        self._pareto: tuple[dict[str, Any] | None] | None = None
        self._current: int | None = None
        self._image = 0
        self._phase = ""
        self._passes: dict[int, RunPass] = {}
        self._pass = 1
        self._most: int | None = None
        self._searching = 0
        self._around = (0, 0)
        self._verdict: Verdict | None = None
        self._finishing = False
        self._swap_seconds: float | None = None
        self._waiting: set[tuple[int, int]] = set()
        self._marks: dict[tuple[int, int], list[str]] = {}
        self._memory: dict[int, dict[str, float]] = {}
        self._handed_over = (False, False)
        self._comparing: dict[str, Any] | None = None
        self._asking = (False, False)
        self._saved: list[str] = []
        self._saved_notes: dict[str, list[str]] = {}
        self._errors: deque[str] = deque(maxlen=_ERRORS_KEPT)
        self._drawn: Callable[[Mapping[str, Value]], Mapping[str, Value]] | None = None

    def open_run(self, run: Mapping[str, Any], jobs: Sequence[ImageJob]) -> None:
        """Show another run: `run` as in the snapshot, `jobs` the images of one trial."""
        with self._guard:
            self._reset()
            self._run, self._jobs = dict(run), tuple(jobs)
            # Revisions must not repeat between runs, or a page that slept would miss the change.
            self.revision = int(time.time() * 1000)

    def set_drawn(self, drawn: Callable[[Mapping[str, Value]], Mapping[str, Value]]) -> None:
        """Say how a trial's values are shown, for a space where that is not as they are (`Space.drawn`)."""
        with self._guard:
            self._drawn = drawn

    def set_state(self, state: RunState, sentence: str, when: Callable[[], bool] | None = None) -> bool:
        """Change the state and the status line, if `when` holds at that instant; return whether they changed."""
        with self._guard:
            if when is not None and not when():
                return False
            self.state, self.sentence = state, sentence
            self.revision += 1
            return True

    def say(self, sentence: str) -> None:
        """Change the status line only."""
        with self._guard:
            self.set_state(self.state, sentence)

    def error(self, sentence: str) -> None:
        """Add to the list of errors."""
        with self._guard:
            self._errors.append(sentence)
            self.revision += 1

    def put_trial(self, trial: Trial) -> None:
        """Take over a trial's record."""
        with self._guard:
            self.revision += 1
            self._trials[trial.number] = (self.revision, trial)
            self._pareto = self._watched = None
            self._find_best()

    def _find_best(self) -> None:
        """What the user chose; else the verified winner; else the highest of the last search that has a value: others
        are judged differently."""
        complete = [t for _, t in self._trials.values() if t.state == "complete" and t.value is not None]
        searched = [t for t in complete if t.pass_id not in self._passes or self._passes[t.pass_id].searches]
        last = max((t.pass_id for t in searched), default=0)
        ours = [t for t in searched if t.pass_id == last]
        winners = [self._chosen, None if self._verdict is None else self._verdict.winner]
        winner = next((t for number in winners for t in ours if t.number == number), None)
        self._best = winner or max(ours, key=lambda t: (t.value or 0.0, -t.number), default=None)

    def set_current(self, number: int | None, image: int = 0) -> None:
        """Say which trial, and which of its images (from 0), is being worked on."""
        with self._guard:
            self._current, self._image = number, image
            self.revision += 1

    def put_pass(self, run_pass: RunPass) -> None:
        """Take over a pass; its trials come afterwards."""
        with self._guard:
            self._passes[run_pass.id] = run_pass
            self._pareto = self._watched = None
            self.revision += 1

    def set_phase(self, pass_id: int, phase: str, most: int, before: int, after: int) -> None:
        """Say where the run stands.

        Args:
            pass_id: The pass that is worked on.
            phase: ``start design 3/8``, ``search 12/22``, ``verification 1/3``.
            most: How many trials the pass will have at most.
            before: How many images the run made for other things.
            after: How many it will make for other things.
        """
        with self._guard:
            self._pass, self._phase, self._most, self._around = pass_id, phase, most, (before, after)
            if self._passes[pass_id].searches:
                self._searching = most

    def set_verdict(self, verdict: Verdict | None) -> None:
        """Take over what the verification has shown, or that there is no verdict."""
        with self._guard:
            if verdict != self._verdict:
                self._verdict = verdict
                self.revision += 1
                self._find_best()

    def set_chosen(self, number: int | None) -> None:
        """Say which trial the user chose, if any."""
        with self._guard:
            self._chosen, self._pareto = number, None
            self.revision += 1
            self._find_best()

    def set_calibration(self, calibration: dict[str, Any] | None) -> None:
        """Show what scores are measured by, as in the snapshot; None where they keep their own numbers."""
        with self._guard:
            if calibration != self._calibration:
                self._calibration = calibration
                self.revision += 1

    def set_finishing(self) -> None:
        """Say that the run ends after the trial under way."""
        with self._guard:
            self._finishing = True
            self.revision += 1

    def set_swap_seconds(self, seconds: float) -> None:
        """Say how long the last swap took."""
        with self._guard:
            self._swap_seconds = seconds

    def put_image(self, image: ImageRecord) -> None:
        """Take over an image's record."""
        with self._guard:
            self._images.setdefault(image.trial, {})[image.index] = image
            self.revision += 1

    def put_scores(
        self, trial: int, image: int, raw: Mapping[str, float], value: float | None, marks: Sequence[str] = ()
    ) -> None:
        """Take over all raw scores of an image, their combination, and what else was said of it."""
        with self._guard:
            self._marks[trial, image] = list(marks)
            self._scores[trial, image] = {name: (score, value) for name, score in raw.items()}
            self._touch(trial)

    def put_memory(self, trial: int, memory: Mapping[str, float]) -> None:
        """Take over what memory was in use when the images of a trial were made (`lib_optim.run.footprint`)."""
        with self._guard:
            self._memory[trial] = dict(memory)
            self._touch(trial)

    def _touch(self, number: int) -> None:
        """Have the row of a trial sent again."""
        self.revision += 1
        if number in self._trials:
            self._trials[number] = (self.revision, self._trials[number][1])

    def set_waiting(self, waiting: set[tuple[int, int]]) -> None:
        """Say which images need a human score."""
        with self._guard:
            self._waiting = set(waiting)
            self.revision += 1

    def set_comparing(self, comparing: dict[str, Any] | None) -> None:
        """Say what is asked of somebody who compares images (`lib_optim.run.comparing`); None where nobody does."""
        with self._guard:
            if self._comparing != comparing:
                self._comparing = comparing
                self.revision += 1

    def set_handed_over(self, on: bool, possible: bool) -> None:
        """Say whether the automatic judges decide alone, and whether they could."""
        with self._guard:
            if self._handed_over != (on, possible):
                self._handed_over = (on, possible)
                self.revision += 1

    def set_asking(self, possible: bool, on: bool) -> None:
        """Say whether images may be left to a learned taste, and whether they could."""
        with self._guard:
            if self._asking != (possible, on):
                self._asking = (possible, on)
                self.revision += 1

    def add_saved(self, path: str, notes: Sequence[str] = ()) -> None:
        """Add a saved file, and what the user should know of it."""
        with self._guard:
            if path not in self._saved:
                self._saved.append(path)
            self._saved_notes[path] = list(notes)
            self.revision += 1

    def infotext(self, trial: int) -> str:
        """Return the infotext of an image of `trial`, or an empty string."""
        with self._guard:
            return next((image.infotext for image in self._images.get(trial, {}).values() if image.infotext), "")

    @property
    def best(self) -> Trial | None:
        """The best complete trial so far."""
        with self._guard:
            return self._best

    @property
    def chosen(self) -> int | None:
        """The trial that the user chose among several objectives, if any."""
        with self._guard:
            return self._chosen

    @property
    def front(self) -> tuple[int, ...]:
        """The trials of the current search that no other one beats on all of its goals; none where there is one."""
        with self._guard:
            found = self._front_json()
            return tuple(found["front"]) if found else ()

    def trial(self, number: int) -> Trial | None:
        """Return the record of a trial, or None."""
        with self._guard:
            entry = self._trials.get(number)
            return entry[1] if entry else None

    def trials(self) -> tuple[Trial, ...]:
        """Return the records of all trials, by number."""
        with self._guard:
            return tuple(trial for _, (_, trial) in sorted(self._trials.items()))

    def progress(self, step: tuple[int, int] | None = None) -> dict[str, Any]:
        """Return the part ``progress`` of the snapshot; `step` as there."""
        with self._guard:
            return self._progress(step)

    def images(self, numbers: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
        """Return the images of these trials, as in the snapshot, by number; trials without any are left out."""
        with self._guard:
            return {
                str(number): [self._image_json(image) for _, image in sorted(self._images[number].items())]
                for number in sorted(set(numbers))
                if number in self._images
            }

    def snapshot(
        self, since: int, step: tuple[int, int] | None, also: Sequence[int] = (), room: int | None = None
    ) -> dict[str, Any]:
        """Return the snapshot.

        Args:
            since: Revision the reader already has; trials unchanged since then are left out.
            step: Sampling step and steps of the image now being generated, or None.
            also: Numbers of further trials whose images are wanted.
            room: Characters that the rows of trials may take: where ``more`` is true, the reader asks again with the
                ``revision`` it got. None: all of them.
        """
        with self._guard:
            wanted = {self._current, *(trial for trial, _ in self._waiting), *also}
            wanted |= {self._best.number} if self._best else set()
            if self._current is None and self._trials:
                wanted.add(max(self._trials))  # the page goes on showing the last trial
            if since > self.revision:
                since = 0
            rows, revision = next_rows(self._trials, since, room, self._trial_json)
            if revision is not None:  # those that the page shows large come first, and then again in their turn
                there = {row["number"] for row in rows}
                shown = {self._current, self._best.number if self._best else None} - there
                rows += [self._trial_json(trial) for n, (_, trial) in sorted(self._trials.items()) if n in shown]
            return {
                "version": 1,
                "state": self.state,
                "sentence": self.sentence,
                "revision": self.revision if revision is None else revision,
                "more": revision is not None,
                "run": self._run_json(),
                "progress": self._progress(step),
                "best": self._best_json(),
                "verification": self._verdict.to_json() if self._verdict else None,
                "pareto": self._front_json(),
                "calibration": self._calibration,
                "watched": self._watched_json(),
                "current": self._current,
                "finishing": self._finishing,
                "trials": rows,
                "images": self.images([number for number in wanted if number is not None]),
                "comparing": self._comparing,
                "waiting": sorted([trial, image] for trial, image in self._waiting),
                "saved": list(self._saved),
                "saved_notes": {path: notes for path, notes in self._saved_notes.items() if notes},
                "errors": list(self._errors),
            }

    def _jobs_of(self, pass_id: int) -> Sequence[ImageJob]:
        return self._passes[pass_id].jobs if pass_id in self._passes else self._jobs

    def _search(self) -> RunPass | None:
        return next((p for p in reversed(self._passes.values()) if p.searches and p.record.begun), None)

    def _front_json(self) -> dict[str, Any] | None:
        if self._pareto is None:  # a page asks every second, and a thousand trials take a while
            trials = (trial for _, trial in self._trials.values())
            self._pareto = (pareto_json(self._search(), trials, self._chosen),)
        return self._pareto[0]

    def _watched_json(self) -> list[dict[str, Any]]:
        if self._watched is None:
            self._watched = watched_json(self._search(), (trial for _, trial in self._trials.values()))
        return self._watched

    def _best_json(self) -> dict[str, Any] | None:
        return {"trial": self._best.number, "value": self._best.value} if self._best else None

    def _run_json(self) -> dict[str, Any] | None:
        if self._run is None:
            return None
        passes = [
            {
                "id": p.id, "label": p.label, "name": p.record.name, "kind": p.record.kind, "images": len(p.jobs),
                "begun": p.record.begun,
            }
            for p in self._passes.values()
        ]  # fmt: skip
        ratings = self._passes[self._pass].ratings if self._pass in self._passes else self._run.get("ratings", [])
        on, possible = self._handed_over
        hand_over = {"handed_over": on, "can_hand_over": possible}
        could, less = self._asking
        hand_over |= {"can_ask_less": could, "asks_less": less}
        return {
            **self._run,
            "manual": bool(ratings or self._comparing),
            "ratings": ratings,
            **hand_over,
            "passes": passes,
        }

    def _progress(self, step: tuple[int, int] | None) -> dict[str, Any]:
        done = [t for _, t in self._trials.values() if t.state in ("complete", "failed", "skipped")]
        durations = [t.finished - t.started for t in done if t.finished and t.state == "complete"][-20:]
        # Waiting for a human is not the machine's pace, so only merge, generation and scoring count.
        paces = [sum(t.seconds.values()) for t in done if t.state == "complete" and t.seconds][-20:]
        pace = sum(paces) / len(paces) if paces else (sum(durations) / len(durations) if durations else None)
        per_trial = len(self._jobs_of(self._pass))
        total = self._most if self._most is not None else self._run["trials"] if self._run else 0
        # What a pass took over from an earlier one cost nothing and is no part of its number of trials.
        complete = sum(t.state == "complete" and t.pass_id == self._pass and not is_rescored(t) for t in done)
        fraction = self._image / per_trial if per_trial and self._current is not None else 0.0
        images_done = self._around[0] + round((min(complete, total) + fraction) * per_trial)
        images_all = self._around[0] + total * per_trial + self._around[1]
        left = max(total - complete - fraction, 0.0) + (self._around[1] / per_trial if per_trial else 0.0)
        running = self.state in ("starting", "running", "pausing", "paused", "waiting")
        eta = pace * left if pace is not None and running else None
        return {
            "trial": min(complete + (self._current is not None), total) if total else 0,
            "trials": total,
            "pass_trials": self._searching,
            "phase": self._phase,
            "image": min(self._image + 1, per_trial) if self._current is not None else 0,
            "images": per_trial,
            "images_done": images_done,
            "images_all": images_all,
            "step": step[0] if step else 0,
            "steps": step[1] if step else 0,
            "swap_seconds": self._swap_seconds,
            "trial_seconds": pace,
            "eta_seconds": eta if eta is None or math.isfinite(eta) else None,
        }

    def _image_json(self, image: ImageRecord) -> dict[str, Any]:
        scores = self._scores.get((image.trial, image.index), {})
        jobs = self._jobs_of(self._trials[image.trial][1].pass_id if image.trial in self._trials else self._pass)
        prompt = jobs[image.index].payload.prompt if image.index < len(jobs) else ""
        return {
            "index": image.index,
            "payload": image.payload,
            "prompt": prompt,
            "seed": image.seed,
            "file": image.file.rsplit("/", 1)[-1],
            "skipped": image.skipped,
            "scores": {name: raw for name, (raw, _) in scores.items()},
            "value": next((value for _, value in scores.values()), None),
            "marks": self._marks.get((image.trial, image.index), []),
        }

    def _trial_json(self, trial: Trial) -> dict[str, Any]:
        number = trial.number
        images = self._images.get(number, {})
        scores = means({n: raw for n, (raw, _) in self._scores.get((number, i), {}).items()} for i in images)
        marks = (mark for i in images for mark in self._marks.get((number, i), ()))
        return trial_row(trial, scores, marks, self._memory.get(number, {}), self._drawn)
