"""A whole run on the standalone host: what it shows, what it leaves, and that the host is as it was."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import sd_mecha
import torch
from PIL import Image
from safetensors import safe_open

from lib_optim.plan.payload import jobs_of
from lib_optim.plan.run_plan import Budget, SaveSpec
from lib_optim.run.results import pixel_hash
from tests.rig import Rig, payload, same_pixels


def test_a_run_leaves_everything_it_promises(rig: Rig) -> None:
    model = rig.host.model()
    snapshot = rig.run(rig.plan(budget=Budget(3), save=SaveSpec("fp32")))

    assert [trial["number"] for trial in snapshot["trials"]] == [0, 1, 2]
    assert rig.states() == ["complete"] * 3
    assert snapshot["trials"][0]["origin"] == "preset: half"
    assert {trial["origin"] for trial in snapshot["trials"][1:]} == {"sampler: random"}
    best = max(snapshot["trials"], key=lambda trial: trial["value"])
    assert snapshot["best"] == {"trial": best["number"], "value": best["value"]}
    for trial in snapshot["trials"]:
        assert {"merge", "generate", "score", "restore"} <= set(trial["seconds"])

    folder = rig.folder_of()
    images = sorted(folder.images.iterdir())
    assert len(images) == 6
    for record in rig.stored().images:
        with Image.open(folder.path / record.file) as image:
            infotext = image.info["parameters"]
            assert pixel_hash(image) == record.pixels
        recipe = snapshot["trials"][record.trial]["recipe"]
        assert f"Optim trial: {folder.name} {record.trial}" in infotext
        assert f"Optim recipe: {recipe}" in infotext
        assert f"Seed: {record.seed}" in infotext
    assert len({record.pixels for record in rig.stored().images}) == 6

    with folder.trials_csv.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [trial["value"] for trial in snapshot["trials"]]
    assert [row["recipe"] for row in rows] == [trial["recipe"] for trial in snapshot["trials"]]
    assert [float(row["in_alpha"]) for row in rows] == [trial["values"]["in_alpha"] for trial in snapshot["trials"]]

    _saved_checkpoint_shows_the_best_trial(rig, snapshot, best)
    assert rig.host.state().checkpoint == "demo-a.safetensors"
    assert rig.host.model() is not model or rig.has_originals()


def _saved_checkpoint_shows_the_best_trial(rig: Rig, snapshot: dict[str, Any], best: dict[str, Any]) -> None:
    (saved,) = map(Path, snapshot["saved"])
    with safe_open(saved, "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["optim"])["trial"] == best["number"]
    assert json.loads(metadata["sd_merge_recipe"])["recipe"] == best["recipe"]
    assert len(json.loads(metadata["sd_merge_models"])) == 2
    assert saved.name in snapshot["sentence"]
    folder = rig.folder_of()
    checkpoint = rig.checkpoint(saved.stem)
    with rig.host.exclusive():
        rig.host.load(checkpoint)
        with rig.host.job("compare"):
            for job in jobs_of(rig.plan().payloads):
                made = rig.host.generate(job, {}).image
                (record,) = [
                    r for r in rig.stored().images if (r.trial, r.index) == (best["number"], job.index)
                ]  # fmt: skip
                with Image.open(folder.path / record.file) as shown:
                    assert same_pixels(made, shown)
        rig.host.load(rig.checkpoint("demo-a"))


def test_the_original_weights_are_back_bit_for_bit_in_the_same_model(rig: Rig) -> None:
    before = rig.host.txt2img({"prompt": "x", "steps": 1, "width": 64, "height": 64})
    model = rig.host.model()
    rig.run()
    assert rig.host.model() is model
    assert rig.has_originals()
    assert same_pixels(before, rig.host.txt2img({"prompt": "x", "steps": 1, "width": 64, "height": 64}))


@pytest.mark.parametrize("first", ["demo-b", None])
def test_the_hosts_first_checkpoint_comes_back(rig: Rig, first: str | None) -> None:
    with rig.host.exclusive():
        rig.host.restore(type(rig.host.state())(None))
    if first:
        rig.host.choose(rig.checkpoint(first))
    before = rig.host.state()
    seen = set()
    rig.hook("generate", lambda *_: seen.add(rig.host.state().checkpoint))
    rig.run(rig.plan(budget=Budget(1)))
    assert seen == {"demo-a.safetensors"}
    assert rig.host.state() == before
    if first:
        assert rig.has_originals(first)


def test_live_weights_are_what_sd_mecha_merges_from_the_recipe_on_disk(rig: Rig) -> None:
    """Through the run's own path: at its first image the run's file is read by sd-mecha itself and compared."""
    compared = []

    def compare(job: Any, stamp: Any) -> None:
        number = int(stamp["Optim trial"].split()[-1])
        if job.index:
            return
        worker = rig.manager._worker
        trial = rig.manager.view.trial(number)
        assert worker is not None
        assert trial is not None
        recipe = sd_mecha.deserialize(worker.context.recipe(trial.values).text.split("\n"))
        sd_mecha.set_log_level(logging.ERROR)
        with sd_mecha.open_input_dicts(recipe, [rig.models]) if False else _model_dirs(rig.models):
            wanted = sd_mecha.merge(
                recipe, output=None, merge_dtype=torch.float32, output_dtype=torch.float32, threads=0,
                merge_device="cpu", output_device="cpu",
            )  # fmt: skip
        live = worker.hold._session._open
        same = [torch.equal(live.read(key), wanted[key].reshape(live.shape_of(key))) for key in live.written()]
        compared.append((number, len(same), all(same)))

    rig.hook("generate", compare)
    rig.run()
    assert [number for number, _, _ in compared] == [0, 1]
    assert all(count > 400 and same for _, count, same in compared), compared


class _model_dirs:  # noqa: N801 - reads as the context manager it is
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        self._before = list(sd_mecha.model_dirs)
        sd_mecha.model_dirs[:] = [self._folder]

    def __exit__(self, *_: object) -> None:
        sd_mecha.model_dirs[:] = self._before
