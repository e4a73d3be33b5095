"""A run manager with the real one's interface and a scripted run: what the page is shown, without models."""

from __future__ import annotations

import contextlib
import json
import math
import random
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from lib_optim.hosts.base import Checkpoint, HostCapabilities, HostPaths, HostState
from lib_optim.hosts.settings_file import SettingsFile
from lib_optim.plan.blocks import block_map
from lib_optim.plan.errors import PlanError, RunError
from lib_optim.plan.passes import first_pass
from lib_optim.plan.payload import ImageJob, jobs_of
from lib_optim.plan.records import ImageRecord, Trial
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.scorers import MANUAL, ratings_json
from lib_optim.plan.settings import SettingValue
from lib_optim.plan.weight_export import write_weights
from lib_optim.run.check import PlanCheck
from lib_optim.run.folder import RunFolder, list_runs
from lib_optim.run.fork import Taken
from lib_optim.run.outcome import Outcome
from lib_optim.run.passes import RunPass
from lib_optim.run.queue_items import winner_path
from lib_optim.run.queueing import RunQueue
from lib_optim.run.recorded import Recorded
from lib_optim.run.saving import Saved
from lib_optim.run.tries import Tries
from lib_optim.run.view import RunView

SD1_KEYS = ("model.diffusion_model.input_blocks.1.1.norm.weight", "cond_stage_model.transformer.embeddings.weight")
SDXL_KEYS = ("model.diffusion_model.label_emb.0.0.weight", "conditioner.embedders.1.model.ln_final.weight")
BLOCKS = ("BASE", *(f"IN{i:02d}" for i in range(12)), "M00", *(f"OUT{i:02d}" for i in range(12)))
PROMPT = 'a <script>alert("no")</script> & lighthouse'


def write_checkpoint(path: Path, keys: Sequence[str] = SD1_KEYS) -> Path:
    """Write a safetensors file with one small tensor per key."""
    tensors = {key: {"dtype": "F16", "shape": [1], "data_offsets": [2 * i, 2 * i + 2]} for i, key in enumerate(keys)}
    header = json.dumps(tensors).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(2 * len(keys)))
    return path


def _watched(plan: RunPlan, number: int) -> dict[str, float]:
    """What judges of weight 0 say: it rises for eight trials, and falls from then on."""
    return {spec.key: 0.5 + 0.02 * min(number, 16 - number) for spec in plan.scorers if spec.weight == 0}


class FakeHost:
    """Four checkpoints in a folder, and paths."""

    id, title, version, delivery = "fake", "Fake host", "1.0", "in_process"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("models", "data/payloads", "outputs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name in ("aurora_v2", "dreamlike_v6", "meadow"):
            write_checkpoint(folder / "models" / f"{name}.safetensors")
        write_checkpoint(folder / "models" / "big_xl.safetensors", SDXL_KEYS)
        payload = {"name": "lighthouse", "prompt": PROMPT, "steps": 8, "batch_size": 2, "width": 256, "height": 384}
        (folder / "data/payloads/lighthouse.json").write_text(json.dumps(payload))
        forest = {"name": "forest", "prompt": "a forest at dawn, mist", "steps": 8, "batch_size": 2}
        (folder / "data/payloads/forest.json").write_text(json.dumps(forest))
        self.loaded: str | None = "dreamlike_v6"
        fields = frozenset({"prompt", "seed", "subseed", "steps", "width", "height"})
        self.can = HostCapabilities(("sd1", "sdxl"), fields, ("Euler a",), (), False, own_settings=True)
        self._settings = SettingsFile(folder / "data/settings.json")

    def capabilities(self) -> HostCapabilities:
        return self.can

    def merge_device(self) -> str:
        return "cpu"

    def paths(self) -> HostPaths:
        return HostPaths(self.folder / "outputs", self.folder / "models", self.folder / "data")

    def settings(self) -> dict[str, SettingValue]:
        return self._settings.values()

    def change_settings(self, values: Mapping[str, object]) -> None:
        self._settings.change(values)

    def checkpoints(self, refresh: bool = False) -> tuple[Checkpoint, ...]:
        return tuple(Checkpoint(p.stem, p) for p in sorted((self.folder / "models").rglob("*.safetensors")))

    def state(self) -> HostState:
        return HostState(self.loaded)


class FakeManager:
    """Scripted trials: a smooth score, one failure, one skip; waits for human scores if asked to.

    Args:
        folder: Where its models and runs are.
        image_seconds: How long one image takes.
    """

    def __init__(self, folder: Path, image_seconds: float = 0.15) -> None:
        self.host = FakeHost(folder)
        self.scorers_dir = folder / "scorers"
        self.view = RunView()
        self.tries = Tries(self.host, self.scorers_dir)  # type: ignore[arg-type]
        self.image_seconds = image_seconds
        self.requests: list[str] = []
        self.repeats = 0
        self.scores: dict[tuple[int, int], float] = {}
        self.ratings: dict[tuple[int, int], dict[str, float]] = {}
        self.marks: dict[tuple[int, int], set[str]] = {}
        self.commands: list[str] = []
        self.saves: list[tuple[Any, str]] = []
        self.plans: list[RunPlan] = []
        self.changes: list[RunPlan] = []
        self.plan: RunPlan | None = None
        self._flags: set[str] = set()
        self._thread: threading.Thread | None = None
        self._step = (0, 0)
        self._manual = False
        self._resolved: Any = None
        self.frozen: list[list[str]] = []
        self._queue: RunQueue | None = None
        self.forks: list[tuple[str, RunPlan]] = []

    @property
    def active(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def check(self, plan: RunPlan) -> PlanCheck:
        from lib_optim.run.check import check_plan

        return check_plan(plan, self.host, self.scorers_dir)  # type: ignore[arg-type]

    def start(self, plan: RunPlan) -> str:
        if self.active:
            raise RunError("A run is going on; stop it first, or wait for its end.")
        problems = self.check(plan).problems
        if problems:
            raise PlanError(problems)
        self.plans.append(plan)
        folder = RunFolder.create(self.host.paths().outputs, plan.name)
        folder.write_plan(plan)
        self.plan = plan
        self._begin(plan, folder)
        return folder.name

    @property
    def queue(self) -> RunQueue:
        """A real queue over this manager."""
        if self._queue is None:
            self._queue = RunQueue(self, self.host.paths().data / "queue.json")  # type: ignore[arg-type]
        return self._queue

    def take_queue(self, queue: RunQueue) -> None:
        self._queue = queue

    def outcome(self, folder: str) -> Outcome | None:
        """As the real one; it saves nothing."""
        run = self.view.snapshot(0, None)["run"]
        if self.active or run is None or run["folder"] != folder:
            return None
        plan = RunFolder.open(self.outputs, folder).read_plan()
        saved = winner_path(plan, self.host.paths().models) if plan.save.name else None
        if saved is not None:
            saved.parent.mkdir(exist_ok=True)
            write_checkpoint(saved)
        return Outcome(
            self.view.state, self.view.snapshot(0, None)["sentence"], "stop" in self._flags, str(saved or "")
        )

    def wait(self, timeout: float | None = None) -> bool:
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.active

    def resume(self, name: str, trials: int | None = None, verify: bool = False) -> str:
        self.commands.append(f"resume {'verify' if verify else ''}".strip())
        if self.active:
            raise RunError("A run is going on; stop it first, or wait for its end.")
        folder = RunFolder.open(self.host.paths().outputs, name)
        self._begin(folder.read_plan(), folder)
        return name

    @property
    def outputs(self) -> Path:
        return self.host.paths().outputs

    def let_go(self, folder: str) -> None:
        """As the real one."""
        shown = self.view.snapshot(0, None)["run"]
        if shown is not None and shown["folder"] == folder:
            if self.active:
                raise RunError(f"The run {folder} is going on; stop it first, or wait for its end.")
            self.view.forget()

    def fork(self, name: str, plan: RunPlan) -> tuple[str, Taken]:
        RunFolder.open(self.outputs, name)
        self.forks.append((name, plan))
        return self.start(plan), Taken((0, 1, 2))

    def _begin(self, plan: RunPlan, folder: RunFolder) -> None:
        jobs = jobs_of(plan.with_drawn_seeds().payloads)
        self._resolved = self.check(plan).resolved
        self._keys = [str(row["key"]) for row in ratings_json(plan.scorers)]
        self._manual = bool(self._keys)
        self._alone = any(scorer.id != MANUAL for scorer in plan.scorers)
        self.ratings.clear()
        self.marks.clear()
        self._handed_over = False
        self._flags.clear()
        self.scores.clear()
        run = {
            "folder": folder.name, "name": plan.name, "trials": plan.budget.trials, "images": len(jobs),
            "started": time.time(), "ratings": ratings_json(plan.scorers), "higher_is_better": True,
        }  # fmt: skip
        self.view.open_run(run, jobs)
        self.view.set_handed_over(False, self._alone)
        if len(first_pass(plan).deciding) > 1:
            rows = [
                {"scorer": spec.key, "payload": "cat", "median": 0.51, "spread": 0.0123 * i, "n": 8}
                for i, spec in enumerate(plan.scorers)
            ]
            self.view.set_calibration({"frozen": True, "trials": 8, "rows": rows})
        if first_pass(plan).axes or _watched(plan, 0):
            self.view.put_pass(RunPass(1, 1, first_pass(plan)))
        self._thread = threading.Thread(target=self._work, args=(plan, folder, jobs), daemon=True)
        self._thread.start()

    def _work(self, plan: RunPlan, folder: RunFolder, jobs: Sequence[ImageJob]) -> None:
        rng = random.Random(plan.seed)
        self.view.set_state("starting", "Reading the models …")
        time.sleep(self.image_seconds)
        number = 0
        complete = 0
        while complete < plan.budget.trials and not self._flags & {"stop", "finish"}:
            closeness = 1 - math.exp(-number / 8)
            values = {f"{block}_alpha": round(rng.random() * (1 - closeness) + 0.6 * closeness, 3) for block in BLOCKS}
            origin = ("preset: all A", "preset: all B", "preset: half")[number] if number < 3 else "sampler: tpe"
            trial = Trial(number, "running", values, origin, f"{rng.getrandbits(48):012x}", started=time.time())
            self._flags.discard("skip_trial")
            self.view.put_trial(trial)
            self.view.set_current(number)
            self.view.set_state("running", f"Trial {number}: merging and generating.")
            self.view.set_swap_seconds(0.4 + rng.random())
            value = 4 + 4 * closeness + rng.gauss(0, 0.5)
            state, reason = self._images(trial, folder, jobs, value)
            if state == "complete" and number == 4:
                state, reason = "failed", "ImageReward gave no finite score for image 2; look at that image."
                self.view.error(f"Trial 4: {reason}")
            if state == "complete" and self._manual:
                value = self._wait_for_scores(trial, len(jobs))
            seconds = {"merge": 0.5, "generate": len(jobs) * self.image_seconds, "score": 0.1}
            scored = value if state == "complete" else None
            complete += state == "complete"
            ended = Trial(
                number, state, values, origin, trial.recipe, scored, reason, seconds, trial.started, time.time(),  # type: ignore[arg-type]
                axes=compromise(number, first_pass(plan).axes) if scored is not None else {},
                watched=_watched(plan, number),
            )  # fmt: skip
            self.view.put_trial(ended)
            number += 1
        self.view.set_current(None)
        best = self.view.best
        self.view.set_state("finished", f"{complete} trials done." + (f" Best: trial {best.number}." if best else ""))

    def _images(self, trial: Trial, folder: RunFolder, jobs: Sequence[ImageJob], value: float) -> tuple[str, str]:
        for job in jobs:
            self.view.set_current(trial.number, job.index)
            self._flags.discard("skip_image")
            for step in range(8):
                self._step = (step, 8)
                time.sleep(self.image_seconds / 8)
                if self._flags & {"stop", "skip_trial", "skip_image"}:
                    break
            if "stop" in self._flags or "skip_trial" in self._flags:
                return "skipped", "Skipped by the user."
            if "pause" in self._flags:
                self.view.set_state("paused", "Paused. Your own model is loaded; continue when you like.")
                while "pause" in self._flags and "stop" not in self._flags:
                    time.sleep(0.02)
                self.view.set_state("running", "Going on.")
            skipped = "skip_image" in self._flags
            file = f"images/{trial.number:05d}-{job.index:03d}-x.png"
            _draw(folder.path / file, job, trial.number)
            self.view.put_image(
                ImageRecord(trial.number, job.index, job.payload.name, job.seed, file, "", "", skipped=skipped)
            )
            if not self._manual and not skipped:
                score = value + (job.index - 1) * 0.2
                self.view.put_scores(trial.number, job.index, {"technical": score}, score)
            elif self._manual:
                self._say_waiting(trial.number)
        return "complete", ""

    def _wait_for_scores(self, trial: Trial, images: int) -> float:
        self.view.put_trial(Trial(trial.number, "waiting", trial.values, trial.origin, trial.recipe))
        self.view.set_state("waiting", "Your turn: score the images of this trial.")
        while "stop" not in self._flags and "skip_trial" not in self._flags:
            if self._handed_over or any("broken" in self.marks.get((trial.number, i), ()) for i in range(images)):
                return 5.0
            out = {i for i in range(images) if "left out" in self.marks.get((trial.number, i), ())}
            given = [self.scores[trial.number, i] for i in range(images) if (trial.number, i) in self.scores]
            if len(given) + len(out) >= images:
                return sum(given) / max(1, len(given))
            time.sleep(0.02)
        return 0.0

    def _say_waiting(self, trial: int) -> None:
        images = self.view.snapshot(0, None)["images"].get(str(trial), [])
        self.view.set_waiting(
            {
                (trial, i["index"])
                for i in images
                if not (self._handed_over or i["skipped"] or (trial, i["index"]) in self.scores)
                and not self.marks.get((trial, i["index"]))
            }
        )

    def pause(self) -> None:
        self._flag("pause")
        if self.active:
            self.view.set_state("pausing", "Pausing after this image …")

    def go_on(self) -> None:
        self.commands.append("go_on")
        self._flags.discard("pause")

    def skip_image(self) -> None:
        self._flag("skip_image")

    def skip_trial(self) -> None:
        self._flag("skip_trial")

    def stop(self) -> None:
        self._flag("stop")

    def change(self, plan: RunPlan) -> int:
        if not self.active:
            raise RunError("No run is going on that could change; start one, or resume an earlier one first.")
        self.changes.append(plan)
        return 2

    def freeze(self, names: Sequence[str]) -> RunPass:
        if not self.active:
            raise RunError("No run is going on that could change; start one, or resume an earlier one first.")
        assert self.plan is not None
        self.frozen.append(list(names))
        return RunPass(2, 2, first_pass(self.plan))

    def finish(self) -> None:
        self._flag("finish")
        self.view.set_finishing()

    def _flag(self, name: str) -> None:
        self.commands.append(name)
        self._flags.add(name)

    def score(
        self, trial: int, image: int, value: float | None, request: str, name: str = "", folder: str = ""
    ) -> None:
        self._one_of_ours(folder)
        if self._known(request):
            return
        given = self.ratings.setdefault((trial, image), {})
        given.pop(f"manual: {name}" if name else "manual", None)
        if value is not None:
            given[f"manual: {name}" if name else "manual"] = value
        self.scores.pop((trial, image), None)
        if len(given) == len(self._keys):
            self.scores[trial, image] = sum(given.values()) / len(given)
        self._show(trial, image)

    def mark(self, trial: int, image: int, mark: str, on: bool, request: str, folder: str = "") -> None:
        self._one_of_ours(folder)
        if not self._known(request):
            there = self.marks.setdefault((trial, image), set())
            name = mark.removeprefix("mark: ")
            there.add(name) if on else there.discard(name)
            self._show(trial, image)

    def _one_of_ours(self, folder: str) -> None:
        if folder not in ("", self.view.snapshot(0, None)["run"]["folder"]) or not (folder or self.active):
            raise RunError(f"The run {folder} is not going on; resume it to score its images.")

    def _known(self, request: str) -> bool:
        self.repeats += request in self.requests
        if request in self.requests:
            return True
        self.requests.append(request)
        return False

    def _show(self, trial: int, image: int) -> None:
        given, marks = self.ratings.get((trial, image), {}), sorted(self.marks.get((trial, image), ()))
        self.view.put_scores(trial, image, given, self.scores.get((trial, image)), marks)
        self._say_waiting(trial)

    def hand_over(self, on: bool = True) -> None:
        self.commands.append("hand_over" if on else "take_back")
        self._handed_over = on
        self.view.set_handed_over(on, self._alone)

    def ask_less(self, on: bool = True) -> None:
        self.commands.append("ask_less" if on else "ask_all")
        self.view.set_asking(True, on)

    def save_trial(self, number: int, save: Any = None, name: str = "", folder: str = "") -> Saved:
        self.commands.append(f"save_trial {number}")
        self.saves.append((save, name))
        path = self.host.paths().models / "optim" / f"{name or f'trial{number:04d}'}.safetensors"
        notes = ("The file holds another VAE.",) if save is not None and save.vae else ()
        self.view.add_saved(str(path), notes)
        return Saved(path, notes)

    def choose(self, number: int | None, folder: str = "") -> None:
        self.commands.append(f"choose {number}")
        if number is not None and (trial := self.view.trial(number)) is not None and not trial.axes:
            raise RunError(f"Trial {number} is no scored trial of the current search; choose one that is.")
        self.view.set_chosen(number)

    def block_weights(self, number: int, folder: str = "") -> dict[str, dict[str, str]]:
        trial = self.view.trial(number)
        assert trial is not None
        weights = {name.removesuffix("_alpha"): float(value) for name, value in trial.values.items()}
        return {"alpha": write_weights(weights, block_map("sd1"))}

    def recorded(self, folder: str = "") -> Recorded:
        if not self._resolved:
            raise RunError("No run is open; choose one.")
        found = RunFolder.open(self.outputs, folder or self.view.snapshot(0, None)["run"]["folder"])
        best = self.view.best
        passes = (RunPass(1, 1, first_pass(self._resolved.plan)),)
        return Recorded(self._resolved, found, self.view.trials(), passes, best.number if best else None)

    def snapshot(self, since: int = 0, also: Sequence[int] = (), room: int | None = None) -> dict[str, Any]:
        return self.view.snapshot(since, self._step, also, room)

    def runs(self) -> list[dict[str, Any]]:
        return [
            {"folder": f.name, "modified": f.plan.stat().st_mtime, "name": f.name, "trials": 12, "problem": ""}
            for f in list_runs(self.host.paths().outputs)
        ]

    def image_path(self, folder: str, file: str) -> Path | None:
        with contextlib.suppress(Exception):
            path = RunFolder.open(self.host.paths().outputs, folder).images / file
            return path if Path(file).name == file and path.is_file() else None
        return None

    def close(self, timeout: float = 60.0) -> None:
        if self._queue is not None:
            self._queue.pause()
        self.stop()
        if self._thread:
            self._thread.join(timeout)


def compromise(number: int, axes: Sequence[str]) -> dict[str, float]:
    """Return values on axes that cannot all be had at once; the even trials are beaten by the odd ones."""
    shares = [random.Random(f"{number // 2} {axis}").random() + 0.01 for axis in axes]
    reach = (0.8 + 0.2 * random.Random(number).random()) * (1.0 if number % 2 else 0.7)
    length = math.hypot(*shares) if shares else 1.0
    return {axis: reach * share / length * 10**i for i, (axis, share) in enumerate(zip(axes, shares, strict=True))}


def _draw(path: Path, job: ImageJob, trial: int) -> None:
    rng = random.Random(f"{job.seed} {trial // 3}")
    image = Image.new("RGB", (job.payload.width, job.payload.height), tuple(rng.randrange(60, 200) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y, r = rng.randrange(image.width), rng.randrange(image.height), rng.randrange(20, 120)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(rng.randrange(256) for _ in range(3)))
    path.parent.mkdir(exist_ok=True)
    image.save(path)
