"""Init images in real runs: found by name, kept by what they show, and taken along with the run."""

from __future__ import annotations

import dataclasses
import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_optim.hosts.init_images import kept_file
from lib_optim.plan.errors import PlanError
from lib_optim.plan.run_plan import Budget
from lib_optim.run.archive import export_run, import_run
from lib_optim.run.init_images import PAYLOADS_FOLDER
from tests.rig import Rig, payload

FROM = payload("from", init_image="start.png", denoising_strength=0.3)


def put(rig: Rig, color: str = "red", name: str = "start.png") -> Path:
    folder = rig.host.paths().data / PAYLOADS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", (48, 40), color).save(folder / name)
    return folder / name


def test_a_run_keeps_the_picture_that_it_began_with(rig: Rig, tmp_path: Path) -> None:
    file = put(rig)
    rig.run(rig.plan(payloads=(FROM,), budget=Budget(1)))
    (before,) = rig.folder_of().read_plan().payloads
    assert before.init_digest
    kept = kept_file(rig.host.paths().data, before.init_digest)
    (own,) = (rig.folder_of().path / "init_images").glob("*.png")
    assert (own.name, own.read_bytes()) == (kept.name, kept.read_bytes())

    # Changed, moved and taken to a machine that never saw it: the run goes on from what it began with.
    packed = io.BytesIO()
    export_run(rig.folder_of(), packed)
    (tmp_path / "run.zip").write_bytes(packed.getvalue())
    shutil.rmtree(kept.parent)
    file.unlink()
    name = import_run(tmp_path / "run.zip", rig.manager.outputs, "taken")
    rig.manager.resume(name, trials=2)
    rig.end()
    assert rig.host.paths().outputs.joinpath(name, "images").is_dir()
    images = rig.stored(name).images
    assert [image.trial for image in images] == [0, 1]
    assert all("Denoising strength: 0.3" in image.infotext for image in images)


def test_a_fork_has_the_images_of_the_same_picture_and_makes_those_of_another(rig: Rig) -> None:
    put(rig)
    rig.run(rig.plan(payloads=(FROM,), budget=Budget(1)))
    parent = rig.folder_of().name
    plan = rig.folder_of().read_plan()
    _, taken = rig.manager.fork(parent, dataclasses.replace(plan, name="same"))
    rig.end()
    assert len(taken.trials) == 1
    put(rig, "blue")
    _, taken = rig.manager.fork(parent, dataclasses.replace(plan, name="other", payloads=(FROM,)))
    rig.end()
    assert taken.trials == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"init_image": "none.png"}, "is not in"),
        ({"init_image": "text.png"}, "no PNG, JPEG or WebP"),
        ({"init_image": "../start.png"}, "not a path"),
        ({"init_image": "start.png", "init_digest": "0" * 32}, "something else"),
        ({"init_image": "start.png", "init_digest": "../x"}, "no digest"),
        ({"init_image": "start.png", "resize_mode": 9}, "resize_mode must lie between"),
    ],
)
def test_what_cannot_be_is_told_before_start(rig: Rig, fields: dict[str, Any], words: str) -> None:
    put(rig)
    (rig.host.paths().data / PAYLOADS_FOLDER / "text.png").write_text("no picture")
    with pytest.raises(PlanError, match=words):
        rig.manager.start(rig.plan(payloads=(payload("from", **fields),)))
    assert rig.manager.runs() == []
