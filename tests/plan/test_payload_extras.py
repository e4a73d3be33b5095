"""Init image and scripts of a payload: what is refused, and what makes two images the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lib_optim.plan.drawn_prompts import drawn_prompts
from lib_optim.plan.errors import PlanError
from lib_optim.plan.infotext import infotext_payload
from lib_optim.plan.payload import ImageJob, Payload, same_picture
from lib_optim.plan.payload_extras import script_args
from lib_optim.plan.wildcards import Wildcards

DIGEST = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"init_image": "a/b.png"}, "not a path"),
        ({"init_image": "..\\b.png"}, "not a path"),
        ({"init_image": "..png"}, "not a path"),
        ({"init_image": "C:b.png"}, "not a path"),
        ({"init_digest": "ABC"}, "no digest"),
        ({"init_image": "a.png", "enable_hr": True}, "no WebUI does both"),
        ({"alwayson_scripts": {" refiner ": {}}}, "swaps the model"),
        ({"alwayson_scripts": {"Seed": {}}}, "fields of its own"),
        ({"alwayson_scripts": {"X": None}}, "takes"),
        ({"alwayson_scripts": {"X": {"args": "a"}}}, "takes"),
        ({"alwayson_scripts": {"X": {"args": [float("nan")]}}}, "plain JSON"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], words: str) -> None:
    [problem] = Payload("x", **fields).problems("payloads[0]")
    assert words in problem.sentence
    assert problem.where.startswith("payloads[0].")


def test_what_is_fine() -> None:
    fine = Payload(
        "x", init_image="mein Haus (2).png", init_digest=DIGEST, alwayson_scripts={"X": {}, "Y": {"args": [1]}}
    )
    assert fine.problems("p") == []
    assert [script_args(given) for given in fine.alwayson_scripts.values()] == [[], [1]]
    assert Payload.from_json(fine.to_json()) == fine


def test_the_pixels_below_and_not_their_names_make_the_same_picture() -> None:
    def job(**fields: Any) -> ImageJob:
        return ImageJob(0, Payload("x", **{"init_image": "a.png", "init_digest": DIGEST, **fields}), 1, 0)

    assert same_picture(job(), job(init_image="b.png"))
    assert not same_picture(job(), job(init_digest=DIGEST[::-1]))
    assert not same_picture(job(), job(resize_mode=1))
    assert not same_picture(job(), job(alwayson_scripts={"X": {}}))


def test_a_digest_alone_asks_nothing_of_a_host() -> None:
    assert Payload("x", init_digest=DIGEST).used_fields() == ()
    assert Payload("x", init_image="a.png").used_fields() == ("init_image",)


def test_payloads_of_earlier_versions_load() -> None:
    old = Payload("x", "a cat").to_json()
    for name in [f.name for f in dataclasses.fields(Payload) if f.name.startswith(("init_", "hr_resize", "hr_prompt"))]:
        del old[name]
    assert Payload.from_json(old) == Payload("x", "a cat")


def test_the_infotext_of_hires_fix_is_read_in_full() -> None:
    line = (
        "Steps: 8, Seed: 5, Size: 256x384, Denoising strength: 0.4, Hires resize: 512x768, Hires sampler: Euler, "
        'Hires schedule type: Karras, Hires prompt: "a cat, large", Hires CFG Scale: 5, Hires upscaler: Latent'
    )
    read = infotext_payload(f"a cat\n{line}", "x", ["Euler"], ["Karras"])
    payload = read.payload
    assert (payload.enable_hr, payload.hr_resize_x, payload.hr_resize_y, payload.hr_cfg) == (True, 512, 768, 5)
    assert (payload.hr_sampler_name, payload.hr_scheduler, payload.hr_prompt) == ("Euler", "Karras", "a cat, large")
    assert read.left == ()
    with pytest.raises(PlanError, match="no size"):
        infotext_payload("a\nSteps: 8, Hires resize: large", "x")


def test_what_is_not_enabled_is_left_out_of_the_run(tmp_path: Path) -> None:
    off = Payload("off", "a {red|blue} cat", enabled=False)
    assert drawn_prompts((off, Payload("on", "a cat")), Wildcards(tmp_path), "root") == (Payload("on", "a cat"),)
    assert off.used_fields() == ("prompt",)
