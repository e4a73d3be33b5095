"""Judges tried on sorted pictures: real scorers, real files."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFilter
from PIL.PngImagePlugin import PngInfo

from lib_optim.plan.errors import RunError
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.run.calibrating import Calibrating, Sample
from lib_optim.scoring.picture_text import opened_picture
from lib_optim.scoring.user_scorers import load_user_scorers

WORDS = '''"""Words.

Counts the words.
"""


def score(images, prompts):
    return [float(len(prompt.split())) for prompt in prompts]
'''
BROKEN = '''"""Broken.

Fails on small pictures.
"""


def score(images, prompts):
    if images[0].width < 100:
        raise ValueError("too small")
    return [1.0 for _ in images]
'''


def picture(seed: int, blur: float = 0.0, size: int = 128) -> Image.Image:
    rng = random.Random(seed)
    image = Image.new("RGB", (size, size), (120, 130, 140))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y = rng.randrange(size), rng.randrange(size)
        draw.rectangle((x, y, x + 20, y + 12), fill=tuple(rng.randrange(256) for _ in range(3)))
    return image.filter(ImageFilter.GaussianBlur(blur)) if blur else image


def data(image: Image.Image, kind: str = "PNG", **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def judged(samples: list[Sample], scorers: list[ScorerSpec], folder: Path) -> Calibrating:
    job = Calibrating(samples, scorers, folder)
    job.start()
    assert job.wait(60)
    return job


def test_a_judge_of_sharpness_puts_blurred_pictures_below_sharp_ones(tmp_path: Path) -> None:
    samples = [Sample(f"{i}.png", float(i < 4), "", data(picture(i, 0 if i < 4 else 3))) for i in range(8)]
    (opinion,) = judged(samples, [ScorerSpec("technical")], tmp_path).opinions
    assert not opinion.problem
    assert sorted(opinion.raw) == list(range(8))
    assert min(opinion.raw[i] for i in range(4)) > max(opinion.raw[i] for i in range(4, 8))


def test_a_judge_reads_the_prompt_in_the_file_else_that_of_the_page_without_markup(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(WORDS)
    load_user_scorers(tmp_path, refresh=True)
    info = PngInfo()
    info.add_text("parameters", "one (two:1.2) three <lora:x:1>\nNegative prompt: a b c d\nSteps: 20, Seed: 1")
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"UNICODE\0" + "four five\nSteps: 20, Seed: 1".encode("utf-16-be")}
    samples = [
        Sample("a.png", 1, "x", data(picture(1), pnginfo=info)),
        Sample("b.jpg", 0, "x", data(picture(2), "JPEG", exif=exif)),
        Sample("c.webp", 0, "(x:1.3) y z w", data(picture(3), "WEBP")),
        Sample("d.png", 0, "", data(picture(4))),
    ]
    try:
        (opinion,) = judged(samples, [ScorerSpec("own-words")], tmp_path).opinions
    finally:
        (tmp_path / "words.py").unlink()
        load_user_scorers(tmp_path, refresh=True)
    assert opinion.problem == ""
    assert opinion.raw == {0: 3.0, 1: 2.0, 2: 4.0, 3: 0.0}


def test_a_judge_that_fails_on_one_picture_judges_the_others_and_harms_no_other_judge(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    load_user_scorers(tmp_path, refresh=True)
    samples = [Sample("a.png", 1, "", data(picture(1))), Sample("b.png", 0, "", data(picture(2, size=64)))]
    samples.append(Sample("c.png", 0, "", data(picture(3))))
    try:
        broken, technical = judged(samples, [ScorerSpec("own-broken"), ScorerSpec("technical")], tmp_path).opinions
    finally:
        (tmp_path / "broken.py").unlink()
        load_user_scorers(tmp_path, refresh=True)
    assert sorted(broken.raw) == [0, 2]
    assert "too small" in broken.problem
    assert "b.png" in broken.problem
    assert len(technical.raw) == 3


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (ScorerSpec(MANUAL), "Your own eyes"),
        (ScorerSpec("consistency"), "compares the images of a payload"),
        (ScorerSpec("imagereward"), "ImageReward"),
        (ScorerSpec("no-such"), "no-such"),
    ],
)
def test_a_judge_that_cannot_be_tried_says_why(spec: ScorerSpec, words: str, tmp_path: Path) -> None:
    from lib_optim.run.calibrating import unfit

    assert words in unfit(spec, tmp_path)
    assert unfit(ScorerSpec("technical"), tmp_path) == ""


@pytest.mark.parametrize("broken", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(50), data(picture(1))[:700]])
def test_what_is_no_picture_is_refused_by_its_name(broken: bytes) -> None:
    with pytest.raises(RunError, match=r"odd\.png is no PNG, JPEG or WebP"):
        opened_picture("odd.png", broken)


def test_a_picture_too_large_for_the_memory_is_refused_before_it_is_decoded() -> None:
    huge = data(Image.new("1", (9000, 8000)))
    with pytest.raises(RunError, match="72 million pixels"):
        opened_picture("huge.png", huge)
