"""Init images, always-on scripts and lists of A1111 and Forge, against the test host."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lib_optim.hosts.init_images import kept_file, picture_digest
from lib_optim.plan.errors import HostError
from lib_optim.plan.payload import Payload
from lib_optim.run.check_payload import payload_problems
from tests.hosts.webui_rig import STAMP, Rig, image_job, payload
from tests.webui.scripting import Nosy


def made(rig: Rig, **fields: Any) -> Any:
    with rig.host.exclusive():
        rig.host.load(rig.a)
        with rig.host.job("test"):
            return rig.host.generate(image_job(**fields), STAMP)


def kept(rig: Rig, color: str) -> dict[str, str]:
    picture = Image.new("RGB", (20, 12), color)
    digest = picture_digest(picture)
    path: Path = kept_file(rig.host.paths().data, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return {"init_image": "start.png", "init_digest": digest}


def test_an_image_begins_from_a_picture_the_same_every_time(rig: Rig) -> None:
    plain = made(rig).image.tobytes()
    white, black = kept(rig, "white"), kept(rig, "black")
    first = made(rig, **white).image.tobytes()
    assert len({plain, first, made(rig, **black).image.tobytes()}) == 3
    torch.randn(5)  # whatever else the process draws
    assert made(rig, **white).image.tobytes() == first
    p = rig.webui.module("modules.processing").processed[-1]
    assert type(p).__name__ == "StableDiffusionProcessingImg2Img"
    assert p.init_images[0].getpixel((0, 0)) == (255, 255, 255)


def test_the_process_draws_on_as_if_nothing_had_been(rig: Rig) -> None:
    random.seed(3)
    torch.manual_seed(3)
    expected = (random.random(), torch.randn(3).tolist())
    random.seed(3)
    torch.manual_seed(3)
    made(rig, **kept(rig, "white"))
    assert (random.random(), torch.randn(3).tolist()) == expected


def test_the_scripts_of_the_payload_run_and_the_users_others_do_not(rig: Rig) -> None:
    Nosy.runs = 0
    plain = made(rig).image
    framed = made(rig, alwayson_scripts={"frame": {"args": [2]}})  # any case; the second argument is the control's own
    assert framed.image.getpixel((1, 8)) == (255, 255, 255)
    assert framed.image.getpixel((8, 8)) == plain.getpixel((8, 8))
    assert "Frame: 2" in framed.infotext
    grey = made(rig, alwayson_scripts={"Frame": {"args": [2, 128]}}).image
    assert grey.getpixel((1, 8)) == (128, 128, 128)
    assert made(rig, alwayson_scripts={"Frame": {}}).image.getpixel((0, 8)) == (255, 255, 255)
    assert Nosy.runs == 0
    assert made(rig).image.tobytes() == plain.tobytes()


def test_a_script_that_fails_fails_the_image(rig: Rig) -> None:
    errors = rig.webui.module("modules.errors")
    report = errors.report
    with pytest.raises(HostError, match=r"so the image is not counted: Error running postprocess_image.*no detector"):
        made(rig, alwayson_scripts={"Frame": {}, "Broken": {}})
    assert errors.report is report
    assert len(errors.reported) == 1  # the WebUI's console has it, too
    with pytest.raises(HostError, match="no always-on script Gone for txt2img"):
        made(rig, alwayson_scripts={"Gone": {}})
    made(rig)


def test_the_lists_are_the_webuis(rig: Rig) -> None:
    can = rig.host.capabilities()
    assert can.styles == ("photo", "soft, warm")
    assert can.upscalers == ("Latent", "Lanczos")
    assert [script.name for script in can.scripts] == ["Broken", "Frame", "Nosy"]  # not the Refiner, which swaps models
    assert can.scripts[1].arguments == (("width", 1), ("grey", 255))
    assert {"init_image", "resize_mode", "alwayson_scripts", "styles"} <= can.payload_fields


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"styles": ("foto",)}, "has no style 'foto'; it has photo, soft, warm. Did you mean 'photo'?"),
        ({"enable_hr": True, "hr_upscaler": "ESRGAN"}, "has no upscaler 'ESRGAN'; it has Latent, Lanczos."),
        ({"alwayson_scripts": {"Fram": {}}}, "has no always-on script 'Fram'; it has Broken, Frame, Nosy."),
        ({"alwayson_scripts": {"Refiner": {}}}, "names the script Refiner, which swaps the model"),
        ({"alwayson_scripts": {"Frame": [1]}}, 'the script Frame takes {"args": [...]}'),
        ({"alwayson_scripts": {"Frame": {"arg": [1]}}}, 'the script Frame takes {"args": [...]}'),
        ({"init_image": "a.png", "enable_hr": True}, "has an init image and hires fix"),
    ],
)
def test_what_the_webui_lacks_is_told_in_one_sentence(rig: Rig, fields: dict[str, Any], words: str) -> None:
    [problem] = payload_problems(payload(**fields), "payloads[0]", rig.host)
    assert words in problem.sentence


def test_what_it_has_is_no_problem(rig: Rig) -> None:
    fine = {"styles": ("photo", "soft, warm"), "alwayson_scripts": {"FRAME": {"args": [1]}}, "init_image": "a.png"}
    assert list(payload_problems(Payload("x", **fine), "payloads[0]", rig.host)) == []
