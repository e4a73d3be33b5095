"""A whole run on the standalone host: what it shows, what it leaves, and that the host is as it was."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from lib_optim.merging.fallback import quiet_progress
from lib_optim.merging.mecha import sd_mecha
from lib_optim.plan.errors import RunError
from lib_optim.plan.payload import ImageJob, jobs_of
from lib_optim.plan.run_plan import Budget, SamplerSpec, SaveSpec
from lib_optim.run.results import pixel_hash
from tests.rig import Rig, payload, same_pixels


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_a_run_leaves_everything_it_promises(rig: Rig, dtype: Any) -> None:
    snapshot = rig.run(rig.plan(budget=Budget(3), save=SaveSpec(dtype)))

    assert [trial["number"] for trial in snapshot["trials"]] == [0, 1, 2]
    assert rig.states() == ["complete"] * 3
    assert snapshot["trials"][0]["origin"] == "preset: half"
    assert {trial["origin"] for trial in snapshot["trials"][1:]} == {"sampler: random"}
    best = max(snapshot["trials"], key=lambda trial: trial["value"])
    assert snapshot["best"] == {"trial": best["number"], "value": best["value"]}
    for trial in snapshot["trials"]:
        assert {"merge", "generate", "score"} <= set(trial["seconds"])

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
    assert rig.has_originals()


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
                record = next(r for r in rig.stored().images if (r.trial, r.index) == (best["number"], job.index))
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


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_live_weights_are_what_sd_mecha_merges_from_the_recipe(rig: Rig, dtype: Any) -> None:
    """In the precision in which the winner is saved, so that the file shows what the run showed.

    Through the run's own path: at each trial's first image sd-mecha itself reads the recipe and merges.
    """
    compared = []

    def compare(job: ImageJob, stamp: Mapping[str, str]) -> None:
        if job.index:
            return
        number = int(stamp["Optim trial"].split()[-1])
        worker, trial = rig.manager._worker, rig.manager.view.trial(number)
        assert worker is not None
        assert trial is not None
        context = worker.context
        wanted = _merged_by_sd_mecha(context.recipe(trial.values).text, rig.models, dtype)
        live = worker.hold._session._open
        keys = {name: key for key, name in context.merger._names.items()}
        same = [
            torch.equal(live.read(name), wanted[keys[name]].to(torch.float32).reshape(live.shape_of(name)))
            for name in context.merger.keys  # those too that need no writing, because the models agree on them
        ]  # fmt: skip
        compared.append((number, len(same), all(same)))

    rig.hook("generate", compare)
    rig.run(rig.plan(save=SaveSpec(dtype, checkpoint=False)))
    assert [number for number, _, _ in compared] == [0, 1]
    assert all(count > 400 and same for _, count, same in compared), compared


def _merged_by_sd_mecha(text: str, models: Path, dtype: str) -> dict[str, torch.Tensor]:
    mecha = sd_mecha()
    mecha.model_dirs.add_path(models)
    recipe = mecha.deserialize(text)
    merged: dict[str, torch.Tensor] = mecha.merge(
        recipe.bound_args.args[0],
        merge_dtype=torch.float32, output_dtype=torch.float16 if dtype == "fp16" else torch.float32, threads=0,
        total_buffer_size=1 << 20, check_extra_keys=False, tqdm=quiet_progress(), output=None,
    )  # fmt: skip
    return merged


def test_best_mecha_is_the_best_trials_recipe(rig: Rig) -> None:
    snapshot = rig.run(rig.plan(budget=Budget(3)))
    text = rig.folder_of().best_recipe.read_text()
    recipe = sd_mecha().deserialize(text)
    assert recipe.merge_method.identifier == "fallback"
    assert rig.manager._worker.context.recipe(snapshot["trials"][snapshot["best"]["trial"]]["values"]).text == text


def test_a_trial_is_saved_while_the_run_goes_on_and_afterwards(rig: Rig) -> None:
    saved = []

    def save(job: ImageJob, stamp: Mapping[str, str]) -> None:
        if not saved and rig.manager.view.best is not None:
            saved.append(rig.in_thread(lambda: rig.manager.save_trial(0)))

    rig.hook("generate", save)
    rig.run()
    path = saved[0].result().path
    stamp = path.stat().st_mtime_ns
    assert rig.manager.save_trial(0).path == path  # the same merge is not written twice
    assert path.stat().st_mtime_ns == stamp
    assert rig.snapshot()["saved"] == [str(path)]
    with pytest.raises(RunError, match="no trial 99"):
        rig.manager.save_trial(99)


def test_a_saved_file_of_another_merge_is_left_alone(rig: Rig) -> None:
    """A run folder that was deleted gives its name to the next run."""
    rig.run(rig.plan(budget=Budget(1)))
    first = rig.manager.save_trial(0).path
    content = first.read_bytes()
    shutil.rmtree(rig.folder_of().path)
    rig.run(rig.plan(budget=Budget(1), sampler=SamplerSpec("random", presets=("all B",))))
    second = rig.manager.save_trial(0).path
    assert second.name == f"{first.stem}-2.safetensors"
    assert first.read_bytes() == content
    assert second.read_bytes() != content


def test_several_runs_one_after_another(rig: Rig) -> None:
    """The last word of a run is said when the next one may start."""
    names = []
    for _ in range(3):
        names.append(rig.manager.start(rig.plan(budget=Budget(1))))
        rig.until_state("finished")
    assert len(set(names)) == 3
    assert [run["folder"] for run in rig.manager.runs()] == names[::-1]
    assert rig.has_originals()


def test_payloads_without_weight_are_shown_and_do_not_count(rig: Rig) -> None:
    plan = rig.plan(payloads=(payload("fox", n_iter=2), payload("hill", score_weight=0)), budget=Budget(1))
    (trial,) = rig.run(plan)["trials"]
    stored = rig.stored()
    assert len(stored.images) == 3
    assert sorted(score.image for score in stored.scores) == [0, 1]
    assert trial["value"] == pytest.approx(sum(score.raw for score in stored.scores) / 2, abs=1e-12)
    assert stored.images[0].seed + 1 == stored.images[1].seed


def test_the_hosts_own_progress_display_is_told(rig: Rig) -> None:
    told = []
    rig.hook("report", lambda *report: told.append(report))
    rig.run()
    assert [(done, total) for _, done, total, _ in told] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert told[0][0] == "Optim: trial 1/2"
    assert "best" in told[-1][0]
    assert told[0][3] is None  # no trial has ended, so nobody knows
    assert told[-1][3] >= 0
