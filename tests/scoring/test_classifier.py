"""Classifiers as judges and as a guard, on small random weights saved as the published files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.base import ImageContext
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.worker import ScoringWorker
from tests.scoring.pictures import scene
from tests.scoring.test_vit import beit, edit, vit

IMAGES = [scene(50, 40, seed=s) for s in range(4)]


def expected(original: Any, folder: Path, index: int) -> list[float]:
    """What transformers' own pipeline of processor, network and softmax says."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.inference_mode():
        logits = original(**processor(images=IMAGES, return_tensors="pt")).logits
    return [float(v) for v in logits.softmax(-1)[:, index]]


def loaded(name: str, models: Path, **options: Any) -> Any:
    scorer = scorer_row(name).build(options, models)
    scorer.load("cpu")
    return scorer


def test_cafe_aesthetic_is_transformers_pipeline(tmp_path: Path) -> None:
    original = beit(tmp_path / "cafe-aesthetic")
    scores = loaded("cafe-aesthetic", tmp_path).score(IMAGES, [""] * 4)
    assert scores == pytest.approx(expected(original, tmp_path / "cafe-aesthetic", 1), abs=1e-5)
    assert max(scores) - min(scores) > 1e-3
    others = loaded("cafe-aesthetic", tmp_path, label="NOT_aesthetic").score(IMAGES, [""] * 4)
    assert [a + b for a, b in zip(scores, others, strict=True)] == pytest.approx([1.0] * 4, abs=1e-6)


def test_aesthetic_shadow_is_transformers_pipeline(tmp_path: Path) -> None:
    original = vit(tmp_path / "somewhere")
    scores = loaded("aesthetic-shadow", tmp_path, folder=str(tmp_path / "somewhere")).score(IMAGES, [""] * 4)
    assert scores == pytest.approx(expected(original, tmp_path / "somewhere", 0), abs=1e-5)
    assert max(scores) - min(scores) > 1e-3


def test_pickled_weights_serve_too(tmp_path: Path) -> None:
    original = vit(tmp_path / "aesthetic-shadow")
    (tmp_path / "aesthetic-shadow" / "model.safetensors").unlink()
    torch.save(original.state_dict(), tmp_path / "aesthetic-shadow" / "pytorch_model.bin")
    scores = loaded("aesthetic-shadow", tmp_path).score(IMAGES, [""] * 4)
    assert scores == pytest.approx(expected(original, tmp_path / "aesthetic-shadow", 0), abs=1e-5)


def test_the_guard_fails_the_trial_of_what_it_finds(tmp_path: Path) -> None:
    folder = tmp_path / "detector"
    found = expected(vit(folder, ("normal", "nsfw")), folder, 1)
    limit = (sorted(found)[2] + sorted(found)[3]) / 2  # one of the four is above
    assert scorer_problems(ScorerSpec("nsfw", options={"folder": str(folder), "limit": limit}), tmp_path) == []
    spec = ScorerSpec("nsfw", device="cpu", options={"folder": str(folder), "limit": limit})
    got: list[Any] = []
    worker = ScoringWorker([spec], tmp_path, lambda *s: got.append(s), lambda *e: got.append(e))
    for i, image in enumerate(IMAGES):
        worker.submit(i, 0, image, "", ImageContext("cat", 7, 0))
    assert worker.drain(60)
    worker.close()
    worst = found.index(max(found))
    failed = [entry for entry in got if len(entry) == 2]
    ((trial, error),) = failed
    assert trial == worst
    assert "NSFW guard: image 1 of payload 'cat' with seed 7 is 'nsfw' with a probability of" in str(error)
    scores = {entry[0]: entry[3] for entry in got if len(entry) == 4}
    assert scores == pytest.approx({i: 1 - p for i, p in enumerate(found) if i != worst}, abs=1e-5)


def test_bad_folders_and_options(tmp_path: Path) -> None:
    told = [p.sentence for p in scorer_problems(ScorerSpec("cafe-aesthetic"), tmp_path)]
    assert [text.split("the file ")[1].split(",")[0] for text in told] == [
        "config.json", "preprocessor_config.json", "model.safetensors",
    ]  # fmt: skip
    assert all("get it from https://huggingface.co/cafeai/cafe_aesthetic" in text for text in told)
    (problem,) = scorer_problems(ScorerSpec("nsfw"), tmp_path)
    assert "'folder' of the scorer nsfw is not set" in problem.sentence
    vit(tmp_path / "nsfw")
    for limit in (0, -1, 1.5):
        spec = ScorerSpec("nsfw", options={"folder": str(tmp_path / "nsfw"), "limit": limit})
        (problem,) = scorer_problems(spec, tmp_path)
        assert "the limit must lie above 0 and be at most 1" in problem.sentence
    with pytest.raises(ScorerError, match="has no class 'nsfw'; it has hq, lq"):
        loaded("nsfw", tmp_path, folder=str(tmp_path / "nsfw"))
    shutil.copytree(tmp_path / "nsfw", tmp_path / "aesthetic-shadow")
    edit(tmp_path / "aesthetic-shadow" / "config.json", model_type="swin")
    with pytest.raises(ScorerError, match=r"Aesthetic shadow v2: .* is of a network of the type swin"):
        loaded("aesthetic-shadow", tmp_path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    vit(tmp_path / "aesthetic-shadow")
    path = tmp_path / "aesthetic-shadow" / "model.safetensors"
    tensors = load_file(path)
    tensors["classifier.bias"][0] = float("nan")
    save_file(tensors, path)
    with pytest.raises(ScorerError, match="is not finite; the file is damaged"):
        loaded("aesthetic-shadow", tmp_path)
