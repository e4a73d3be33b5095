"""In a WebUI: plan, run, save, load the saved file in the host: the trial's image again, with an override VAE too."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_optim.plan.guide import Guide
from lib_optim.plan.run_plan import Budget, ModelRef, RunPlan, SaveSpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.folder import RunFolder
from lib_optim.run.manager import RunManager
from tests.hosts.webui_rig import STAMP, Rig, image_job, payload
from tests.rig import TEXT, UNET, make_plan


def run(rig: Rig, folder: Path, save: SaveSpec, text_encoder: bool = True) -> tuple[RunManager, bytes]:
    """Run one trial; return the manager and the image's pixels."""
    guide = Guide((TEXT, UNET) if text_encoder else (UNET,))
    manager = RunManager(rig.host, folder / "scorers")
    models = tuple(ModelRef(str(rig.webui.checkpoints / f"{name}.safetensors")) for name in "ab")
    plan: RunPlan = make_plan(
        rig.webui.checkpoints, models=models, payloads=(payload(),), scorers=(ScorerSpec("technical"),),
        budget=Budget(1), save=save, guide=guide,
    )  # fmt: skip
    name = manager.start(plan)
    assert manager.wait(60)
    snapshot = manager.snapshot()
    assert snapshot["state"] == "finished", snapshot["errors"]
    assert [trial["state"] for trial in snapshot["trials"]] == ["complete"]
    (file,) = RunFolder.open(rig.host.paths().outputs, name).images.iterdir()
    with Image.open(file) as image:
        return manager, image.convert("RGB").tobytes()


def shown_by(rig: Rig, path: Path) -> bytes:
    path.with_suffix(".yaml").write_text("model: own\n")  # see Rig.from_disk
    with rig.host.exclusive():
        rig.host.load(rig.checkpoint(path.stem))
        with rig.host.job("compare"):
            return bytes(rig.host.generate(image_job(), STAMP).image.tobytes())


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_the_saved_file_shows_the_trial(rig: Rig, tmp_path: Path, dtype: str) -> None:
    # Forge keeps text encoders in fp16 but for their embeddings, which it widens after reading: with an fp32 run these
    # hold more live than it will ever read from a file.
    exact = rig.webui.flavour != "forge" or dtype == "fp16"
    manager, wanted = run(rig, tmp_path, SaveSpec(dtype), text_encoder=exact)  # type: ignore[arg-type]
    (full,) = map(Path, manager.snapshot()["saved"])
    pruned = manager.save_trial(0, SaveSpec(dtype, pruned=True), "pruned")  # type: ignore[arg-type]
    assert pruned.notes == ()
    assert shown_by(rig, full) == wanted
    assert shown_by(rig, pruned.path) == wanted


def test_with_another_vae_in_use_the_file_that_holds_it_shows_the_trial(rig: Rig, tmp_path: Path) -> None:
    vae = rig.host.paths().vaes / "other.safetensors"
    forge = rig.webui.flavour == "forge"
    rig.webui.post_options(**({"forge_additional_modules": [str(vae)]} if forge else {"sd_vae": vae.name}))
    manager, wanted = run(rig, tmp_path, SaveSpec("fp32", checkpoint=False), text_encoder=not forge)
    plain = manager.save_trial(0, name="plain")
    baked = manager.save_trial(0, SaveSpec("fp32", vae=str(vae)), "baked")
    what = "module other" if forge else "VAE other.safetensors"
    assert f"made with the {what}, which the file does not hold" in plain.notes[0]
    assert baked.notes == ()
    rig.webui.post_options(**({"forge_additional_modules": []} if forge else {"sd_vae": "None"}))
    assert shown_by(rig, baked.path) == wanted
    assert shown_by(rig, plain.path) != wanted


def test_forge_and_fp32_text_encoders_are_named(rig_f: Rig, tmp_path: Path) -> None:
    manager, _ = run(rig_f, tmp_path, SaveSpec("fp32", checkpoint=False))
    assert "Forge reads text encoders in fp16" in manager.save_trial(0).notes[0]
    assert manager.save_trial(0, SaveSpec("fp16"), "half").notes == (
        "The run rounded its merges to fp32; saved in fp16, the images may differ in details.",
    )
