"""Our ImageReward against the original network of image-reward 1.5, and its published rewards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring import imagereward
from lib_optim.scoring.blip import FULL, RewardNetwork, Sizes
from lib_optim.scoring.imagereward import ImageRewardScorer, build
from lib_optim.scoring.pixels import clip_pixels
from lib_optim.scoring.state_dicts import fill
from tests.scoring.original_imagereward import Original, random_state_dict
from tests.scoring.pictures import scene
from tests.scoring.small_models import REWARD_SIZES, random_reward, save_reward

PROMPTS = ("a painting of an ocean with clouds and birds", "", "cat " * 200)


def inputs(sizes: Sizes, seed: int, words: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A real preprocessed picture, random ids and padding after `words`."""
    image = torch.from_numpy(clip_pixels(scene(90, 70, seed), sizes.image, "image"))[None]
    ids = torch.randint(1, sizes.vocabulary, (1, 35), generator=torch.Generator().manual_seed(seed))
    mask = (torch.arange(35) < words).long()[None]
    return image, ids * mask, mask


def assert_bit_equal(sizes: Sizes, cases: list[tuple[int, int]]) -> None:
    original = Original(sizes)
    tensors = random_state_dict(original, seed=1)
    missing, unexpected = original.load_state_dict(tensors, strict=False, assign=True)
    assert missing == []
    assert set(unexpected) <= {"blip.text_encoder.embeddings.position_ids"}
    original.eval()
    with torch.device("meta"):
        ours = RewardNetwork(sizes)
    fill(ours, tensors, imagereward._EXTRAS, "ImageReward", Path("ImageReward.pt"))
    rewards = []
    for seed, words in cases:
        image, ids, mask = inputs(sizes, seed, words)
        with torch.inference_mode():
            got = float(ours(image, ids, mask).item())
        rewards.append(original.score(image, ids, mask))
        assert got == rewards[-1]
    assert len(set(rewards)) == len(rewards)  # the comparison is of something


def test_two_layers_equal_the_original_to_the_last_bit() -> None:
    assert_bit_equal(REWARD_SIZES, [(0, 35), (1, 12), (2, 2)])


@pytest.mark.slow
def test_full_size_equals_the_original_to_the_last_bit() -> None:
    """446 million random parameters, in the layout of the published file; about 4 GB of memory."""
    assert sum(p.numel() for p in _meta(FULL).parameters()) == pytest.approx(446e6, rel=0.01)
    assert_bit_equal(FULL, [(0, 35), (1, 9)])


def _meta(sizes: Sizes) -> RewardNetwork:
    with torch.device("meta"):
        return RewardNetwork(sizes)


@pytest.fixture
def scorer(tmp_path: Path) -> ImageRewardScorer:
    save_reward(tmp_path)
    scorer = ImageRewardScorer(tmp_path, sizes=REWARD_SIZES)
    scorer.load("cpu")
    return scorer


def test_production_path_equals_the_original_with_transformers_tokenizer(scorer: ImageRewardScorer, tmp_path) -> None:
    from transformers import BertTokenizer

    original = Original(REWARD_SIZES)
    original.load_state_dict(torch.load(tmp_path / "ImageReward.pt", weights_only=True), strict=False)
    original.eval()
    tokenizer = BertTokenizer(str(tmp_path / "vocab.txt"))
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    tokenizer.add_special_tokens({"additional_special_tokens": ["[ENC]"]})
    for seed, prompt in enumerate(PROMPTS):
        image = scene(80, 100, seed)
        read = tokenizer(prompt, padding="max_length", truncation=True, max_length=35, return_tensors="pt")
        pixels = torch.from_numpy(clip_pixels(image, REWARD_SIZES.image, "image"))[None]
        assert scorer.score([image], [prompt]) == [original.score(pixels, read.input_ids, read.attention_mask)]


def test_reward_depends_on_picture_and_on_the_words_that_count(scorer: ImageRewardScorer) -> None:
    one, other = scene(64, seed=1), scene(64, seed=2)
    values = scorer.score([one, other, one, one], ["a cat", "a cat", "a cloud", "a cat"])
    assert len(set(values[:3])) == 3
    assert values[0] == values[3]
    long = "cat " * 33
    assert scorer.score([one], [long]) == scorer.score([one], [long + "painting"])
    assert scorer.score([one], [long]) != scorer.score([one], ["painting " + long])


def test_safetensors_and_half_precision_load_too(scorer: ImageRewardScorer, tmp_path: Path) -> None:
    wanted = scorer.score([scene(64)], ["a cat"])
    (tmp_path / "st").mkdir()
    tensors = {k: v.contiguous() for k, v in random_reward().items()}
    save_file(tensors, tmp_path / "st" / "ImageReward.safetensors")
    (tmp_path / "st" / "vocab.txt").write_bytes((tmp_path / "vocab.txt").read_bytes())
    same = ImageRewardScorer(tmp_path / "st", sizes=REWARD_SIZES)
    same.load("cpu")
    assert same.score([scene(64)], ["a cat"]) == wanted
    halves = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    save_reward(tmp_path / "half", halves)
    half = ImageRewardScorer(tmp_path / "half", sizes=REWARD_SIZES)
    half.load("cpu")
    assert half.score([scene(64)], ["a cat"]) == pytest.approx(wanted, abs=0.05)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("mlp.layers.7.bias"), "lacks 'mlp.layers.7.bias'"),
        (lambda t: t.update({"blip.queue": torch.zeros(1)}), "has the unknown 'blip.queue'"),
        (lambda t: t.update({"mlp.layers.7.bias": torch.zeros(2)}), "has another shape for"),
        (lambda t: t["mlp.layers.7.bias"].fill_(float("nan")), "is not finite"),
    ],
)
def test_the_file_of_another_model_is_refused(tmp_path: Path, change, words: str) -> None:
    tensors = random_reward()
    change(tensors)
    save_reward(tmp_path, tensors)
    with pytest.raises(ScorerError, match=words):
        ImageRewardScorer(tmp_path, sizes=REWARD_SIZES).load("cpu")


def test_only_the_full_network_is_accepted_by_the_row(tmp_path: Path) -> None:
    save_reward(tmp_path / "imagereward")
    with pytest.raises(ScorerError, match=r"instead of 30522; it must be the vocab\.txt of bert-base-uncased"):
        build({}, tmp_path).load("cpu")
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(30517))]
    (tmp_path / "imagereward" / "vocab.txt").write_text("\n".join(lines))
    with pytest.raises(ScorerError, match="it is the file of another model"):
        build({}, tmp_path).load("cpu")


def test_weights_that_overflow_are_no_score(tmp_path: Path) -> None:
    tensors = random_reward()
    tensors["mlp.layers.6.weight"] *= 1e30
    tensors["mlp.layers.7.weight"] *= 1e30
    save_reward(tmp_path, tensors)
    scorer = ImageRewardScorer(tmp_path, sizes=REWARD_SIZES)
    scorer.load("cpu")
    with pytest.raises(ScorerError, match=r"gave -?(inf|nan) for image 1, which is no score"):
        scorer.score([scene(64)], ["a cat"])


@pytest.mark.original_weights
def test_published_rewards() -> None:
    """The example of the project's README: one prompt, images 1 to 4, with the published weights."""
    from PIL import Image

    place = os.environ.get("OPTIM_IMAGEREWARD_WEIGHTS")
    if not place:
        pytest.skip(
            "set OPTIM_IMAGEREWARD_WEIGHTS to a folder with ImageReward.pt, bert-base-uncased's vocab.txt and the "
            "images 1.webp to 4.webp of ImageReward's repository (assets/images)"
        )
    scorer = ImageRewardScorer(Path(place))
    scorer.load("cuda" if torch.cuda.is_available() else "cpu")
    prompt = "a painting of an ocean with clouds and birds, day time, low depth field effect"
    images = [Image.open(Path(place) / f"{i}.webp") for i in (1, 2, 3, 4)]
    published = [0.5811622738838196, 0.2745276093482971, -1.4131819009780884, -2.029569625854492]
    assert scorer.score(images, [prompt] * 4) == pytest.approx(published, abs=1e-3)
