"""The networks that tell how alike pictures are, and the scorers that use them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image, ImageFilter

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.base import ImageContext
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.clip.backbone import loaded_backbones
from lib_optim.scoring.likeness import WAYS, likeness_by
from lib_optim.scoring.lpips import TRUNKS, Lpips, head_names
from lib_optim.scoring.lpips_files import LPIPS_FILES
from lib_optim.scoring.pixels import clip_pixels
from lib_optim.scoring.registry import scorer_row
from tests.scoring.pictures import scene
from tests.scoring.small_models import save_transformers_clip, shrink_clips
from tests.scoring.test_vit import dinov2

ALEX = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
VGG = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512]


def files(folder: Path, name: str = "alex", seed: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write random weights as torchvision and lpips have them; VGG's numbers of layers are torchvision's, too."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    if name == "alex":
        layers = dict(zip((0, 3, 6, 8, 10), ALEX, strict=True))
    else:
        layers, before, number = {}, 3, 0
        for width in VGG:
            if width != "M":
                layers[number] = (before, width, 3, 1, 1)
                before = width
            number += 1 if width == "M" else 2
    trunk = {"classifier.6.bias": torch.zeros(1000)}
    for number, (before, width, kernel, _, _) in layers.items():
        draw = torch.randn(width, before, kernel, kernel, generator=generator)
        trunk[f"features.{number}.weight"] = draw / (before * kernel * kernel) ** 0.5
        trunk[f"features.{number}.bias"] = 0.1 * torch.randn(width, generator=generator)
    widths = (64, 192, 384, 256, 256) if name == "alex" else (64, 128, 256, 512, 512)
    head = {f"lin{i}.model.1.weight": torch.rand(1, w, 1, 1, generator=generator) for i, w in enumerate(widths)}
    torch.save(trunk, folder / LPIPS_FILES[name][0])
    torch.save(head, folder / LPIPS_FILES[name][1])
    return trunk, head


def paper(trunk: dict[str, Any], head: dict[str, Any], name: str, one: torch.Tensor, other: torch.Tensor) -> float:
    """LPIPS written once more, plainly, from the paper: pictures in [-1, 1], shape (1, 3, height, width)."""

    def stages(x: torch.Tensor) -> list[torch.Tensor]:
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        x = (x - shift[None, :, None, None]) / scale[None, :, None, None]
        found, number = [], 0
        plan = [64, "M", 192, "M", 384, 256, 256] if name == "alex" else VGG
        for i, step in enumerate(plan):
            if step == "M":
                x, number = torch.nn.functional.max_pool2d(x, 3 if name == "alex" else 2, 2), number + 1
                continue
            weight, bias = trunk[f"features.{number}.weight"], trunk[f"features.{number}.bias"]
            stride, padding = ALEX[len([s for s in plan[:i] if s != "M"])][3:] if name == "alex" else (1, 1)
            x = torch.relu(torch.nn.functional.conv2d(x, weight, bias, stride, padding))
            number += 2
            if name == "alex" or i + 1 == len(plan) or plan[i + 1] == "M":
                found.append(x)
        return found

    total = 0.0
    for i, (f, g) in enumerate(zip(stages(one), stages(other), strict=True)):
        u, v = (x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for x in (f, g))
        total += float(((u - v).pow(2) * head[f"lin{i}.model.1.weight"]).sum(1).mean())
    return total


@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_lpips_is_that_of_the_paper(name: str, tmp_path: Path) -> None:
    trunk, head = files(tmp_path, name)
    network = Lpips(TRUNKS[name])
    tensors = {**trunk, **head_names(head)}
    tensors.pop("classifier.6.bias")
    network.load_state_dict(tensors)
    generator = torch.Generator().manual_seed(1)
    one, other = (torch.rand(1, 3, 72, 64, generator=generator) for _ in range(2))
    with torch.inference_mode():
        distance = float(network.distance(network(one), network(other)))
        assert distance == pytest.approx(paper(trunk, head, name, 2 * one - 1, 2 * other - 1), rel=1e-5)
        assert float(network.distance(network(one), network(one))) == 0.0
    assert distance > 0.01


@pytest.fixture(params=["embedding", "lpips"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    make = dinov2 if request.param == "embedding" else files
    make(tmp_path / "weights")
    return request.param, tmp_path / "weights"


def test_equal_pictures_are_alike_and_damage_tells(way: tuple[str, Path]) -> None:
    likeness = likeness_by(way[0], "Test", str(way[1]), Path())
    likeness.load("cpu")
    image = scene(96)
    look = [likeness.look(i, "") for i in (image, image, image.filter(ImageFilter.GaussianBlur(4)), scene(96, seed=5))]
    values = [likeness.alike(look[0], other) for other in look[1:]]
    assert values[0] == pytest.approx(1.0, abs=1e-6)
    assert values[0] > values[1] > values[2]
    likeness.unload()
    likeness.unload()
    with pytest.raises(ScorerError, match="Test was asked for a score before it was loaded"):
        likeness.look(image, "")
    likeness.load("cpu")
    assert likeness.alike(likeness.look(image, ""), likeness.look(scene(96, seed=5), "")) == values[2]


def test_the_embedding_is_transformers_own(tmp_path: Path) -> None:
    original = dinov2(tmp_path)
    likeness = likeness_by("embedding", "Test", str(tmp_path), Path())
    likeness.load("cpu")
    images = [scene(60, 50, seed=s) for s in range(2)]
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    with torch.inference_mode():
        one, other = original(**processor(images=images, return_tensors="pt")).last_hidden_state[:, 0]
    expected = float(torch.nn.functional.cosine_similarity(one, other, dim=0))
    assert likeness.alike(*(likeness.look(i, "") for i in images)) == pytest.approx(expected, abs=1e-5)


def test_scorers_compare_with_them(way: tuple[str, Path], tmp_path: Path) -> None:
    options = {"by": way[0], "folder": str(way[1])}
    images = [scene(64, seed=s) for s in range(3)]
    likeness = likeness_by(way[0], "Test", str(way[1]), Path())
    likeness.load("cpu")
    look = [likeness.look(i, "") for i in images]
    pairs = [likeness.alike(a, b) for a, b in itertools.combinations(look, 2)]
    for name in ("consistency", "diversity"):
        scorer = scorer_row(name).build(options, tmp_path)
        scorer.load("cpu")
        mean = np.mean(scorer.score(images, [""] * 3))
        assert mean == pytest.approx(np.mean(pairs) if name == "consistency" else 1 - np.mean(pairs), abs=1e-9)
    for i, image in enumerate(images):
        image.save(tmp_path / f"{i}.png")
    (tmp_path / "references").mkdir()
    images[0].save(tmp_path / "references" / "cat.png")
    spec = ScorerSpec("similarity", options={**options, "reference": str(tmp_path / "references")})
    assert scorer_problems(spec, tmp_path) == []
    scorer = scorer_row("similarity").build(spec.options, tmp_path)
    scorer.load("cpu")
    contexts = [ImageContext("cat", 1, i) for i in range(3)]
    scores = scorer.score(images, [""] * 3, contexts)
    assert scores == pytest.approx([1.0, pairs[0], pairs[1]], abs=1e-6)
    assert scores == [scorer.score([i], [""], [c])[0] for i, c in zip(images, contexts, strict=True)]


def test_clip_is_shared_with_the_other_scorers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_clips(monkeypatch)
    (tmp_path / "clip").mkdir()
    spec = ScorerSpec("consistency", options={"by": "clip"})
    (problem,) = scorer_problems(spec, tmp_path)
    assert "clip-vit-large-patch14.safetensors, which is not in" in problem.sentence
    with pytest.raises(ScorerError) as caught:
        scorer_row("consistency").build(spec.options, tmp_path).load("cpu")
    assert str(caught.value) == problem.sentence
    original = save_transformers_clip(tmp_path / "clip" / "clip-vit-large-patch14.safetensors")
    assert scorer_problems(spec, tmp_path) == []
    images = [scene(70, 64, seed=s) for s in range(3)]
    scorers = [scorer_row(name).build(spec.options, tmp_path) for name in ("consistency", "diversity")]
    for scorer in scorers:
        scorer.load("cpu")
    assert [users for _, _, users in loaded_backbones()] == [2]
    with torch.inference_mode():
        pixels = torch.stack([torch.from_numpy(clip_pixels(image, 64, "")) for image in images])
        seen = torch.nn.functional.normalize(original.get_image_features(pixels).double(), dim=1)
    expected = (seen @ seen.T).sum(dim=1).sub(1).div(2).tolist()
    assert scorers[0].score(images, [""] * 3) == pytest.approx(expected, abs=1e-5)
    assert scorers[1].score(images, [""] * 3) == pytest.approx([1 - v for v in expected], abs=1e-5)
    for scorer in scorers:
        scorer.unload()
        scorer.unload()
    assert loaded_backbones() == []


def test_similarity_by_simple_features(tmp_path: Path) -> None:
    scene(64).save(tmp_path / "r.png")
    scorer = scorer_row("similarity").build({"reference": str(tmp_path / "r.png"), "by": "simple"}, tmp_path)
    scorer.load("cpu")
    same, other = scorer.score([scene(64), scene(64, seed=3)], ["", ""])
    assert same == pytest.approx(1.0, abs=1e-9)
    assert other < 0.75
    (tmp_path / "r.png").write_bytes(b"none")
    scorer.unload()
    with pytest.raises(ScorerError, match=r"The reference image .* can't be read"):
        scorer.score([scene(8)], [""])


def test_missing_and_wrong_weights(tmp_path: Path) -> None:
    for name in ("consistency", "similarity"):
        reference = {"reference": str(tmp_path)} if name == "similarity" else {}
        if reference:
            Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
        for by in WAYS[2:]:
            spec = ScorerSpec(name, options={"by": by, **reference})
            (problem,) = scorer_problems(spec, tmp_path)
            assert f"by {by} needs weights; set the option 'folder'" in problem.sentence
            with pytest.raises(ScorerError, match="needs weights"):
                scorer_row(name).build(spec.options, tmp_path)
            spec = ScorerSpec(name, options={"by": by, "folder": str(tmp_path), **reference})
            told = [p.sentence for p in scorer_problems(spec, tmp_path)]
            with pytest.raises(ScorerError) as caught:
                scorer_row(name).build(spec.options, tmp_path).load("cpu")
            assert str(caught.value) == told[0]
    with pytest.raises(ScorerError, match="compares by simple, clip, embedding, lpips, not by 'taste'"):
        scorer_row("consistency").build({"by": "taste"}, tmp_path)
    files(tmp_path)
    trunk, head = (tmp_path / name for name in LPIPS_FILES["alex"])
    tensors = torch.load(head, weights_only=True)
    torch.save({**tensors, "lin5.model.1.weight": torch.zeros(1, 512, 1, 1)}, head)
    likeness = likeness_by("lpips", "Test", str(tmp_path), Path())
    with pytest.raises(ScorerError, match=r"has the unknown 'weights\.5'"):
        likeness.load("cpu")
    trunk.write_bytes(b"none")
    with pytest.raises(ScorerError, match="can't be read as a file of weights"):
        likeness.load("cpu")
