"""The prompt in a WebUI's infotext."""

from __future__ import annotations

import pytest

from lib_optim.plan.errors import PlanError
from lib_optim.plan.infotext import infotext_payload, infotext_prompt
from lib_optim.plan.payload import Payload

SETTINGS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (f"a cat\nNegative prompt: dog\n{SETTINGS}", "a cat"),
        (f"a cat,\non a mat\n{SETTINGS}", "a cat,\non a mat"),
        (f"a cat\r\nNegative prompt: two\r\nlines\r\n{SETTINGS}", "a cat"),
        (f"\nNegative prompt: dog\n{SETTINGS}", ""),
        (SETTINGS, ""),
        ("a photo of a cat", ""),
        ('{"3": {"class_type": "KSampler"}}', ""),
        ("", ""),
    ],
)
def test_the_prompt_ends_where_settings_begin(text: str, prompt: str) -> None:
    assert infotext_prompt(text) == prompt


def test_everything_that_makes_the_picture_comes_back_as_a_payload() -> None:
    text = (
        "a cat, (red:1.2)\nNegative prompt: dog,\nblurry\n"
        "Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 4294967295, Size: 640x960, "
        "Model hash: abc, Model: some, Denoising strength: 0.45, Clip skip: 2, Hires upscale: 1.5, Hires steps: 12, "
        "Hires upscaler: Latent, Variation seed: 7, Variation seed strength: 0.25, Eta: 0.3, Sigma noise: 1.1, "
        'Tiling: True, Lora hashes: "x: 1, y: 2", Version: v1.10.1'
    )
    read = infotext_payload(text, "mine")
    assert read.left == ()
    assert read.payload == Payload(
        "mine", "a cat, (red:1.2)", "dog,\nblurry", 4294967295, 25, 6.5, 640, 960, "DPM++ 2M", "Karras",
        subseed=7, subseed_strength=0.25, clip_skip=2, tiling=True, eta=0.3, s_noise=1.1,
        enable_hr=True, hr_scale=1.5, hr_upscaler="Latent", hr_second_pass_steps=12, denoising_strength=0.45,
    )  # fmt: skip


def test_what_a_payload_has_no_place_for_is_named_and_our_own_stamp_is_not() -> None:
    text = f'a\n{SETTINGS}, ADetailer model: face.pt, ADetailer prompt: "a, b: c", Optim trial: run 12, Version: f2'
    assert infotext_payload(text, "x").left == ("ADetailer model", "ADetailer prompt")


@pytest.mark.parametrize(
    ("sampler", "found"),
    [
        ("DPM++ 2M Karras", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M SDE", ("DPM++ 2M SDE", "")),
        ("Nobody Karras", ("Nobody Karras", "")),
    ],
)
def test_an_old_sampler_name_is_parted_where_the_host_knows_both(sampler: str, found: tuple[str, str]) -> None:
    text = f"a\nSteps: 5, Sampler: {sampler}, Seed: 1"
    payload = infotext_payload(text, "x", ("DPM++ 2M", "DPM++ 2M SDE"), ("Automatic", "Karras")).payload
    assert (payload.sampler_name, payload.scheduler) == found
    assert infotext_payload(text, "x").payload.sampler_name == sampler


@pytest.mark.parametrize("text", ["", "a cat", "Steps: many", "a\nSteps: 5, Size: huge", "a\nSteps: 5, CFG scale: x"])
def test_what_is_no_infotext_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(PlanError, match=r"\.$"):
        infotext_payload(text, "x")
