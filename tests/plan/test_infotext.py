"""The prompt in a WebUI's infotext."""

from __future__ import annotations

import pytest

from lib_optim.plan.infotext import infotext_prompt

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
