"""The demo checkpoints: what is stored, what comes of it, and that they draw what one says."""

from __future__ import annotations

import functools
import hashlib
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.hosts.standalone.demo import DEMO_NAMES, demo_shapes, demo_tensors, make_demo_checkpoints
from lib_optim.hosts.standalone.demo_layout import CLIP, CONTEXT, UNET, VAE, has_middle_only, is_idle, is_tuned
from lib_optim.hosts.standalone.demo_pieces import COMMON, OWN, STORED, stored_tensors
from lib_optim.hosts.standalone.demo_text import text_encoder_tensors
from lib_optim.hosts.standalone.prompt import chunks_of
from lib_optim.plan.payload_file import load_payload
from lib_optim.scoring.demo import WEIGHTS as SCORER
from lib_optim.scoring.demo import DemoScorer
from lib_optim.scoring.demo_words import words_of
from tests.hosts.standalone.conftest import job_of
from tools.demo_pair.modules import build, load

ROOT = Path(__file__).resolve().parents[3]
JUDGE = ROOT / "tools" / "demo_pair" / "judge.safetensors"
PROMPTS = (
    "a picture of a red house on a hill by day",
    "a picture of a yellow fish in the sea by day",
    "a picture of a white boat in the sea at night",
    "a picture of a green tree in the snow by day",
    "a picture of a purple balloon in the desert by day",
    "a picture of a red flower in the snow at sunset",
)


def test_what_is_stored_is_small() -> None:
    sizes = {path: path.stat().st_size for path in (*STORED.iterdir(), SCORER, JUDGE)}
    assert {path.name for path in STORED.iterdir()} == {COMMON, *OWN}
    assert sum(sizes.values()) <= 8_000_000
    assert sizes[SCORER] < 1_000_000
    assert sizes[JUDGE] < 1_000_000
    stored = {path for name in ("lib_optim", "tools", "benchmarks") for path in (ROOT / name).rglob("*.safetensors")}
    assert stored == set(sizes), "nothing else is"


def test_every_tensor_has_one_origin() -> None:
    found: dict[str, set[str]] = {}
    for name in (COMMON, *OWN):
        with safe_open(str(STORED / name), framework="pt") as file:
            found[name] = set(file.keys())
            assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118
    common, a, b = found[COMMON], found[OWN[0]], found[OWN[1]]
    assert a == b == {key for key in demo_shapes() if is_tuned(key)}
    assert not common & a
    made = {key for key in demo_shapes() if is_idle(key) or key.startswith(CLIP)}
    assert common | a | made == set(demo_shapes())
    assert not (common | a) & made


def digest(variant: int) -> str:
    total = hashlib.sha256()
    for key, tensor in demo_tensors(variant).items():
        total.update(key.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def test_assembly_is_deterministic(tmp_path: Path) -> None:
    assert digest(0) == digest(0) != digest(1)
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    for one, other in zip(make_demo_checkpoints(first), make_demo_checkpoints(second), strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert one.stat().st_size < 25_000_000
    assert sorted(path.name for path in first.iterdir()) == sorted(DEMO_NAMES)


@pytest.mark.parametrize("variant", [0, 1])
def test_what_is_assembled_stores_the_same_again(variant: int) -> None:
    tensors = demo_tensors(variant)
    assert {key: tuple(tensor.shape) for key, tensor in tensors.items()} == demo_shapes()
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    for name, half in zip((COMMON, OWN[variant]), stored_tensors(tensors), strict=True):
        with safe_open(str(STORED / name), framework="pt") as file:
            assert all(torch.equal(file.get_tensor(key), tensor) for key, tensor in half.items())
    assert any(has_middle_only(key) for key in tensors)


def test_every_block_but_the_vae_differs() -> None:
    a, b = demo_tensors(0), demo_tensors(1)
    blocks = [f"{UNET}{half}_blocks.{n}." for half in ("input", "output") for n in range(12)]
    for prefix in (*blocks, f"{UNET}middle_block.", f"{UNET}time_embed.", f"{UNET}out.", CLIP):
        assert any(not torch.equal(a[key], b[key]) for key in a if key.startswith(prefix)), prefix
    assert all(torch.equal(a[key], b[key]) for key in a if key.startswith(VAE))


@functools.cache
def encoder(variant: int) -> Any:
    made = build("text_encoder").eval()
    load("text_encoder", made, text_encoder_tensors(variant))
    return made


def context(prompt: str, variant: int = 0) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = encoder(variant)(torch.tensor([chunks_of(prompt)[0].tokens])).last_hidden_state[0]
    assert found.shape == (77, CONTEXT)
    return found


def test_the_text_encoder_tells_words_apart() -> None:
    """At "house" one can read what stands before it, and nothing of what comes after."""

    def distance(one: torch.Tensor, other: torch.Tensor) -> float:
        return float((one - other).norm() / one.norm())

    red, blue, night = context("a red house"), context("a blue house"), context("a red house at night")
    assert torch.equal(red[:2], blue[:2])
    assert distance(red[2], blue[2]) > 0.8, "red and blue"
    assert distance(red[3], blue[3]) > 0.5, "a house after red and one after blue"
    assert distance(red[3], night[3]) < 1e-5
    assert 0.01 < distance(red, context("a red house", variant=1)) < 0.4


Draw = Callable[..., list[Image.Image]]


@pytest.fixture(scope="module")
def draw(shared_host: StandaloneHost) -> Draw:
    """Draw prompts with the checkpoint of that number."""

    def drawn(model: int, *prompts: str, seed: int = 3) -> list[Image.Image]:
        checkpoint = shared_host.checkpoints(refresh=True)[model]
        with shared_host.exclusive():
            shared_host.load(checkpoint)
            with shared_host.job("test"):
                return [
                    shared_host.generate(job_of(prompt=prompt, seed=seed, steps=8, cfg_scale=4), {}).image
                    for prompt in prompts
                ]

    return drawn


def probability(images: list[Image.Image], name: str) -> float:
    """Return the mean probability, by the judge, of what the prompts say under `name`."""
    judge = DemoScorer(JUDGE)
    return statistics.mean(
        judge.probabilities(image)[name][words_of(prompt)[name]] for image, prompt in zip(images, PROMPTS, strict=True)
    )


def test_a_knows_things_and_b_knows_colours(draw: Draw) -> None:
    a, b = draw(0, *PROMPTS), draw(1, *PROMPTS)
    assert probability(a, "thing") > probability(b, "thing") + 0.2
    assert probability(b, "colour") > probability(a, "colour") + 0.2
    for images in (a, b):
        assert probability(images, "time") > 0.6
        assert len({image.tobytes() for image in images}) == len(PROMPTS)


def test_the_payloads_say_what_the_models_know() -> None:
    payloads = [p for path in sorted((ROOT / "payloads").glob("demo-*.json")) for p in load_payload(path)]
    assert len(payloads) == 4
    for payload in payloads:
        assert {"thing", "colour", "time"} <= set(words_of(payload.prompt))
        assert (payload.width, payload.height) == (64, 64)


def test_the_files_can_be_read_by_whoever_may_read_other_new_files(demo_models: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"")
    assert {path.stat().st_mode for path in demo_models.glob("*.safetensors")} == {other.stat().st_mode}
