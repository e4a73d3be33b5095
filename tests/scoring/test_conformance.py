"""What every automatic scorer of the registry must do. A new row without a case here fails the first test."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import math
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring import worker as worker_module
from lib_optim.scoring.base import ImageContext, Scorer
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.imagereward import ImageRewardScorer
from lib_optim.scoring.registry import scorer_row, scorer_rows
from lib_optim.scoring.worker import ScoringWorker
from tests.scoring.clip.head_files import HEADS
from tests.scoring.pictures import MODES, SIZES, of_mode, scene
from tests.scoring.serving import served
from tests.scoring.small_models import (
    CLIP_MODEL,
    REWARD_SIZES,
    random_head,
    save_reward,
    save_transformers_clip,
    shrink_clips,
    tiny_clip,
)
from tests.scoring.test_blipitm import itm
from tests.scoring.test_taste import taste_on_clip
from tests.scoring.test_vit import beit, vit

PROMPTS = ("a cat", "", "a painting of an ocean, " * 100, "東京 😀 [DEC] <lora:x:1>", " \n\t ")


def _imagereward(folder: Path) -> Scorer:
    save_reward(folder)
    return ImageRewardScorer(folder, sizes=REWARD_SIZES)


def _clipscore(folder: Path) -> Scorer:
    network = tiny_clip()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "w.safetensors")
    return scorer_row("clipscore").build({"model": CLIP_MODEL, "weights": str(folder / "w.safetensors")}, folder)


def _similarity(folder: Path) -> Scorer:
    scene(64, 48, seed=9).save(folder / "reference.png")
    return scorer_row("similarity").build({"reference": str(folder / "reference.png")}, folder)


def _classifier(name: str, make: Callable[..., object], folder: Path, **options: object) -> Scorer:
    make(folder / "classifier")
    return scorer_row(name).build({"folder": str(folder / "classifier"), **options}, folder)


def _blip(folder: Path) -> Scorer:
    itm(folder / "blip-itm")
    return scorer_row("blip-itm").build({}, folder)


@functools.cache
def _server() -> str:
    """One server for all tests of this process."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "mean.py"
    path.write_text(
        "def score(images, prompts):\n"
        "    return [sum(i.resize((1, 1)).getpixel((0, 0))) + len(p) / 1000 for i, p in zip(images, prompts)]\n"
    )
    return stack.enter_context(served(path))


def _pair(name: str, file: str) -> Callable[[Path], Scorer]:
    def make(folder: Path) -> Scorer:
        (folder / name).mkdir()
        save_transformers_clip(folder / name / file, "gelu")
        return scorer_row(name).build({}, folder)

    return make


def _head(name: str) -> Callable[[Path], Scorer]:
    def make(folder: Path) -> Scorer:
        scorer = scorer_row(name).build({}, folder)
        (folder / "clip").mkdir()
        (folder / name).mkdir()
        save_transformers_clip(folder / "clip" / scorer._source.file.name)
        tensors, file = random_head(HEADS[name][1](32)), folder / name / scorer._weights.file.name
        if file.suffix == ".safetensors":
            save_file(tensors, file)
        else:
            torch.save(tensors, file)
        return scorer

    return make


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shrink_clips(patch)
        yield


CASES: dict[str, Callable[[Path], Scorer]] = {
    "imagereward": _imagereward,
    "clipscore": _clipscore,
    "pickscore": _pair("pickscore", "PickScore_v1.safetensors"),
    "hpsv2": _pair("hpsv2", "HPS_v2.1_compressed.pt"),
    **{name: _head(name) for name in HEADS},
    "technical": lambda folder: scorer_row("technical").build({}, folder),
    "demo": lambda folder: scorer_row("demo").build({}, folder),
    "similarity": _similarity,
    "blip-itm": _blip,
    "cafe-aesthetic": lambda folder: _classifier("cafe-aesthetic", beit, folder),
    "aesthetic-shadow": lambda folder: _classifier("aesthetic-shadow", vit, folder),
    "nsfw": lambda folder: _classifier("nsfw", beit, folder, label="aesthetic", limit=1.0),
    "background": lambda folder: scorer_row("background").build({}, folder),
    "taste": lambda folder: scorer_row("taste").build({"taste": taste_on_clip(folder)}, folder),
    "remote": lambda folder: scorer_row("remote").build({"url": _server()}, folder),
}
# Those that compare images with each other have tests of their own: tests/scoring/test_across.py
ROWS = [row.id for row in scorer_rows() if not row.manual and not row.across]


@pytest.fixture(params=ROWS, scope="module")
def scorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    """Loaded; one for all tests, which leave it as it is."""
    made = CASES[request.param](tmp_path_factory.mktemp("models"))
    made.load("cpu")
    yield made
    made.unload()


def images(count: int = 4) -> list[Image.Image]:
    return [scene(72, 56 + 8 * i, seed=i) for i in range(count)]


def test_every_row_has_a_case() -> None:
    assert sorted(CASES) == sorted(ROWS)


def test_same_input_same_score(scorer: Scorer) -> None:
    assert scorer.score(images(), ["a cat"] * 4) == scorer.score(images(), ["a cat"] * 4)


def test_a_batch_equals_singles_and_keeps_the_order(scorer: Scorer) -> None:
    prompts = ["a cat", "a dog", "", "an ocean"]
    contexts = [ImageContext("p", i, i) for i in range(4)]
    batch = scorer.score(images(), prompts, contexts)
    assert len(set(batch)) == 4
    assert batch == [scorer.score([i], [p], [c])[0] for i, p, c in zip(images(), prompts, contexts, strict=True)]
    assert scorer.score(images()[::-1], prompts[::-1], contexts[::-1]) == batch[::-1]
    assert scorer.score([], []) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_any_size_and_mode(scorer: Scorer, size: tuple[int, int], mode: str) -> None:
    image = of_mode(scene(*size), mode)
    before = image.tobytes()
    (score,) = scorer.score([image], ["a cat"])
    assert type(score) is float
    assert math.isfinite(score)
    assert image.tobytes() == before
    assert image.mode == mode


@pytest.mark.parametrize("prompt", PROMPTS)
def test_any_prompt(scorer: Scorer, prompt: str) -> None:
    (score,) = scorer.score(images(1), [prompt])
    assert math.isfinite(score)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128)])
def test_blank_pictures(scorer: Scorer, colour: tuple[int, int, int]) -> None:
    (score,) = scorer.score([Image.new("RGB", (64, 64), colour)], ["a cat"])
    assert math.isfinite(score)


def test_a_picture_without_pixels_is_named(scorer: Scorer) -> None:
    with pytest.raises(ScorerError, match="image 6 of payload 'cat' with seed 3"):
        scorer.score([*images(1), Image.new("RGB", (0, 0))], ["", ""], [ImageContext(), ImageContext("cat", 3, 5)])


def test_unload_then_load_again(scorer: Scorer) -> None:
    before = scorer.score(images(), ["a cat"] * 4)
    scorer.unload()
    scorer.unload()
    scorer.load("cpu")
    assert scorer.score(images(), ["a cat"] * 4) == before


@pytest.mark.parametrize("name", [row.id for row in scorer_rows() if row.memory])
def test_unload_frees_the_network(name: str, tmp_path: Path) -> None:
    scorer = CASES[name](tmp_path)
    scorer.load("cpu")
    network = weakref.ref(scorer._network)
    scorer.score(images(1), ["a cat"])
    assert network() is not None
    scorer.unload()
    assert network() is None


@pytest.mark.parametrize("name", ROWS)
def test_score_before_load(name: str, tmp_path: Path) -> None:
    scorer = CASES[name](tmp_path)
    if scorer_row(name).memory or name == "remote":
        with pytest.raises(ScorerError, match="before it was loaded"):
            scorer.score(images(1), ["a cat"])
    else:
        assert len(scorer.score(images(1), ["a cat"])) == 1


def test_the_prompt_counts_where_the_row_says_so(request: pytest.FixtureRequest, scorer: Scorer) -> None:
    name = request.node.callspec.params["scorer"]
    one, other = (scorer.score(images(1), [prompt]) for prompt in ("a red cat", "a blue ocean with clouds"))
    assert (one != other) == scorer_row(name).reads_prompt


def test_no_random_state_is_touched(scorer: Scorer) -> None:
    import random

    import numpy as np
    import torch

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    scorer.score(images(2), ["a cat"] * 2)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert before == after


@pytest.mark.parametrize("name", [row.id for row in scorer_rows() if row.weights])
def test_missing_weights_give_the_sentence_of_the_check(name: str, tmp_path: Path) -> None:
    told = [problem.sentence for problem in scorer_problems(ScorerSpec(name), tmp_path)]
    with pytest.raises(ScorerError) as caught:
        scorer_row(name).build({}, tmp_path).load("cpu")
    assert str(caught.value) in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ROWS)
def test_through_the_worker(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = CASES[name](tmp_path)
    row = dataclasses.replace(scorer_row(name), build=lambda options, models: scorer)
    monkeypatch.setattr(worker_module, "scorer_row", lambda _: row)
    scores: list[float] = []
    errors: list[ScorerError] = []
    spec = ScorerSpec(name, device="cpu")

    def scored(trial: int, image: int, key: str, raw: float) -> None:
        scores.extend([raw] if key == name else [])

    worker = ScoringWorker([spec], tmp_path, scored, lambda *e: errors.append(e[1]))
    for i, image in enumerate(images()):
        worker.submit(0, i, image, "a cat", ImageContext("p", i, i))
    assert worker.drain(60)
    worker.close()
    assert errors == []
    scorer.load("cpu")
    assert scores == scorer.score(images(), ["a cat"] * 4)
