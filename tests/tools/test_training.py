"""A few steps of each training: it learns, it is repeatable, and it leaves alone what it must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from lib_optim.hosts.standalone.demo_layout import (
    UNET,
    VAE,
    demo_shapes,
    has_middle_only,
    idle_tensor,
    is_idle,
    is_tuned,
)
from lib_optim.scoring.demo_words import VOCABULARY
from tools.demo_pair import __main__ as program
from tools.demo_pair import unet as unet_training
from tools.demo_pair.classifier import accuracy, train_classifier
from tools.demo_pair.data import Data
from tools.demo_pair.modules import build, load
from tools.demo_pair.unet import Recipe, train_unet
from tools.demo_pair.vae import drawn, train_decoder, train_vae


def silent(_: str) -> None:
    pass


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def error_of(tensors: dict[str, torch.Tensor]) -> float:
    vae = build("vae").eval()
    load("vae", vae, tensors)
    images = drawn(8, 99)[0].float() / 127.5 - 1
    with torch.no_grad():
        return float(functional.l1_loss(vae.decode(vae.encode(images).latent_dist.mean).sample, images))


def test_the_vae_learns() -> None:
    once = train_vae(2, 3, count=40, batch=4, log=silent)
    trained = train_vae(40, 3, count=40, batch=4, log=silent)
    assert error_of(trained) < 0.9 * error_of(once)
    assert set(trained) == {key for key in demo_shapes() if key.startswith(VAE)}
    assert all(torch.equal(tensor, idle_tensor(key)) for key, tensor in trained.items() if is_idle(key))
    refined = train_decoder(trained, 20, 4, count=40, batch=4, log=silent)
    assert error_of(refined) < error_of(trained)
    assert all(
        torch.equal(refined[key], trained[key]) for key in trained if ".encoder." in key or ".quant_conv." in key
    )


@pytest.fixture
def few_words(monkeypatch: pytest.MonkeyPatch) -> Data:
    """Latents that a word decides, and contexts of those words only."""
    generator = torch.Generator().manual_seed(1)
    words = torch.zeros(64, 5, dtype=torch.long)
    words[:, 1] = torch.arange(64) % len(VOCABULARY["colour"])
    latents = torch.linspace(-2, 2, 6)[words[:, 1]].reshape(-1, 1, 1, 1).expand(64, 4, 8, 8).contiguous()
    sizes = [len(row) for row in VOCABULARY.values()]
    rows = {(0, c, p, t, 0): 2 + c for c in range(-1, sizes[1]) for p in (-1, 0) for t in (-1, 0)}
    texts = torch.randn(8, 77, 96, generator=generator)
    monkeypatch.setattr(unet_training, "contexts", lambda variant: (texts + 0.01 * variant, rows))
    return Data(latents, words)


def test_the_unet_learns_and_a_fine_tune_changes_its_part(few_words: Data, tmp_path: Path) -> None:
    lines: list[str] = []
    state = tmp_path / "state"
    ancestor = train_unet(Recipe(50, 1e-3, batch=4), few_words, 1, log=lines.append, save=state)
    loss = float(lines[-1].split("loss ")[1].split()[0])
    assert loss < 0.75, "an untrained UNet, which answers 0, has about 0.8"
    assert set(ancestor) == {key for key in demo_shapes() if key.startswith(UNET)}
    for key, tensor in ancestor.items():
        assert torch.isfinite(tensor).all()
        if is_idle(key):
            assert torch.equal(tensor, idle_tensor(key)), key
        if has_middle_only(key):
            edges = tensor.clone()
            edges[:, :, 1, 1] = 0
            assert not edges.any(), key
    recipe = Recipe(3, 1e-3, batch=4, variant=1, wrong=(1, (1, 2, 3, 4, 5, 0)))
    tuned = train_unet(recipe, few_words, 2, ancestor, log=silent)
    changed = {key for key in tuned if not torch.equal(tuned[key], ancestor[key])}
    assert changed
    assert all(is_tuned(key) for key in changed)
    again = train_unet(recipe, few_words, 2, ancestor, log=silent)
    assert all(torch.equal(tuned[key], again[key]) for key in tuned)


def test_a_classifier_learns() -> None:
    weights = train_classifier(120, 5, count=400, batch=32, log=silent)
    right = accuracy(weights, 200, 77)
    assert right["time"] > 0.6
    assert right["style"] > 0.5
    size = 2 * sum(tensor.numel() for tensor in weights.values())
    assert size < 1_000_000, "fp16"


def test_the_program_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    def stage(name: str) -> Any:
        def run(work: Path, seed: int, shrink: int) -> dict[str, torch.Tensor]:
            calls.append(name)
            return {"x": torch.zeros(seed, shrink)}

        return run

    monkeypatch.setattr(program, "STAGES", {name: stage(name) for name in program.STAGES})
    for _ in range(2):
        program.main(["--work", str(tmp_path), "--stages", "vae", "data", "--seed", "3", "--shrink", "2"])
    assert calls == ["vae", "data"]
    assert capsys.readouterr().out.count("there already") == 2
