from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lib_optim.plan.payload import Payload, jobs_of
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring import check
from lib_optim.scoring.base import OptionRow
from lib_optim.scoring.check import scorer_problems, scorers_problems
from lib_optim.scoring.registry import scorer_row
from tests.scoring.pictures import scene


def sentences(spec: ScorerSpec, models: Path, **more: object) -> list[tuple[str, str]]:
    return [(p.where, p.sentence) for p in scorer_problems(spec, models, "scorers[1]", **more)]


@pytest.mark.parametrize("name", ["technical", "manual"])
def test_scorers_that_need_nothing_have_no_problem(name: str, tmp_path: Path) -> None:
    assert sentences(ScorerSpec(name), tmp_path) == []


@pytest.mark.parametrize(
    ("spec", "where", "words"),
    [
        (ScorerSpec("tecnical"), "id", "Did you mean 'technical'"),
        (ScorerSpec("technical", weight=-0.5), "weight", "must be above 0"),
        (ScorerSpec("manual", weight=0.0), "weight", "count for nothing"),
        (ScorerSpec("technical", weight=float("nan")), "weight", "must be above 0"),
        (ScorerSpec("technical", device="gpu"), "device", "'gpu' is not a device"),
        (ScorerSpec("technical", device="cpu:1"), "device", "is not a device"),
        (ScorerSpec("technical", device="cuda:x"), "device", "is not a device"),
        (ScorerSpec("technical", device="cuda"), "device", "runs on the CPU only"),
        (ScorerSpec("technical", options={"x": 1}), "options.x", "no option 'x'"),
        (ScorerSpec("similarity"), "options.reference", "is not set"),
        (ScorerSpec("similarity", options={"reference": " "}), "options.reference", "is not set"),
        (ScorerSpec("similarity", options={"reference": 3}), "options.reference", "must be text"),
        (ScorerSpec("similarity", options={"reference": "/no/such"}), "options.reference", "does not exist"),
        (ScorerSpec("similarity", options={"refrence": "a.png"}), "options.refrence", "Did you mean 'reference'"),
        (ScorerSpec("imagereward", options={"download": "yes"}), "options.download", "must be true or false"),
        (ScorerSpec("imagereward", options={"folder": "/no/such"}), "options.folder", "does not exist"),
        (ScorerSpec("clipscore", options={"normalise": "ful"}), "options.normalise", "must be one of auto, clip, half"),
        (ScorerSpec("clipscore", options={"model": "ViT-B-33", "download": True}), "options.model", "'ViT-B-32'"),
        (ScorerSpec("clipscore", options={"tag": "none", "download": True}), "options.tag", "knows no download 'none'"),
        (ScorerSpec("clipscore", options={"model": "roberta-ViT-B-32", "download": True}), "options.model", "plain"),
        (ScorerSpec("clipscore", options={"weights": "/no/such"}), "options.weights", "does not exist"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_sentence(spec: ScorerSpec, where: str, words: str, tmp_path: Path) -> None:
    found = sentences(spec, tmp_path)
    assert any(place == f"scorers[1].{where}" and words in sentence for place, sentence in found), found
    for _, sentence in found:
        assert sentence.endswith((".", "?"))


def test_missing_weights_name_file_source_and_folder(tmp_path: Path) -> None:
    found = sentences(ScorerSpec("imagereward"), tmp_path)
    assert len(found) == 2
    for (where, sentence), name in zip(found, ("ImageReward.pt", "vocab.txt"), strict=True):
        assert where == "scorers[1].options.folder"
        assert name in sentence
        assert "https://huggingface.co/" in sentence
        assert str(tmp_path / "imagereward") in sentence
    assert sentences(ScorerSpec("imagereward", options={"download": True}), tmp_path) == []
    (tmp_path / "imagereward").mkdir()
    (tmp_path / "imagereward" / "ImageReward.safetensors").write_bytes(b"x")
    (tmp_path / "imagereward" / "vocab.txt").write_bytes(b"x")
    assert sentences(ScorerSpec("imagereward"), tmp_path) == []
    other = str(tmp_path / "imagereward")
    assert sentences(ScorerSpec("imagereward", options={"folder": other}), tmp_path / "elsewhere") == []


def test_missing_clip_weights(tmp_path: Path) -> None:
    ((where, sentence),) = sentences(ScorerSpec("clipscore"), tmp_path)
    assert where == "scorers[1].options.weights"
    assert "ViT-B-32-laion2b_s34b_b79k.bin" in sentence
    (tmp_path / "clipscore").mkdir()
    (tmp_path / "clipscore" / "ViT-B-32-laion2b_s34b_b79k.safetensors").write_bytes(b"x")
    assert sentences(ScorerSpec("clipscore"), tmp_path) == []


def test_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = dataclasses.replace(scorer_row("technical"), packages=("no_such_package_here",))
    monkeypatch.setattr(check, "scorer_row", lambda name: row)
    ((_, sentence),) = sentences(ScorerSpec("technical"), tmp_path)
    assert "needs the Python package no_such_package_here" in sentence


def test_missing_gpu_is_named(tmp_path: Path) -> None:
    import torch

    spec = ScorerSpec("imagereward", device="cuda:63", options={"download": True})
    ((where, sentence),) = sentences(spec, tmp_path)
    assert where == "scorers[1].device"
    assert ("sees no GPU" in sentence) != torch.cuda.is_available()


def test_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = dataclasses.replace(scorer_row("technical"), options=(OptionRow("n", "A number", "number", 1.0),))
    monkeypatch.setattr(check, "scorer_row", lambda name: row)
    assert sentences(ScorerSpec("technical", options={"n": 2}), tmp_path) == []
    for wrong in ("2", True, float("inf")):
        assert "must be a number" in sentences(ScorerSpec("technical", options={"n": wrong}), tmp_path)[0][1]


def test_references_of_the_trial_are_looked_for(tmp_path: Path) -> None:
    scene(8).save(tmp_path / "cat-1.png")
    scene(8).save(tmp_path / "cat-2.png")
    spec = ScorerSpec("similarity", options={"reference": str(tmp_path)})
    assert sentences(spec, tmp_path) == []
    assert sentences(spec, tmp_path, jobs=jobs_of((Payload("cat", seed=1, batch_size=2),))) == []
    found = sentences(spec, tmp_path, jobs=jobs_of((Payload("cat", seed=2, batch_size=2),)))
    assert [where for where, _ in found] == ["scorers[1].options.reference"]
    assert "cat-3.png" in found[0][1]


def test_all_scorers_of_a_plan(tmp_path: Path) -> None:
    assert "choose at least one" in scorers_problems([], tmp_path)[0].sentence
    found = scorers_problems([ScorerSpec("technical"), ScorerSpec("x"), ScorerSpec("technical")], tmp_path)
    assert [p.where for p in found] == ["scorers[1].id", "scorers"]
    assert "technical is listed 2 times" in found[1].sentence
