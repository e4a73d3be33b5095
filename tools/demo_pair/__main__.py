"""Makes everything that the repository stores of the demo checkpoints; see tools/README.md."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lib_optim.hosts.standalone.demo_pieces import COMMON, OWN, stored_tensors
from tools.demo_pair.classifier import accuracy, train_classifier
from tools.demo_pair.data import Data, make_data
from tools.demo_pair.modules import build, load, without_idle
from tools.demo_pair.unet import Recipe, train_unet
from tools.demo_pair.vae import train_decoder, train_vae

__all__ = ["RECIPES", "SEED", "STAGES", "main"]

SEED = 1
RECIPES: Mapping[str, Recipe] = {
    "ancestor": Recipe(steps=1400, rate=1e-3, course=1900),
    "a": Recipe(steps=180, rate=1e-3, wrong=(1, (3, 4, 0, 5, 2, 1))),  # red is called blue, yellow purple, …
    "b": Recipe(steps=180, rate=1e-3, variant=1, wrong=(0, (2, 5, 1, 4, 3, 0))),  # a house is called a flower, …
}
_PICTURES = 12_000
_DECODER_STEPS = 600


def main(arguments: list[str] | None = None) -> None:
    """Run stages in order; what a stage made before is not made again."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo_pair", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for what the stages make")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--shrink", type=int, default=1, help="divides steps and pictures, to try the program out")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums in another order make other weights
    chosen.work.mkdir(parents=True, exist_ok=True)
    for stage in chosen.stages:
        path = chosen.work / f"{stage}.safetensors"
        if path.exists():
            _say(f"{stage}: there already")
            continue
        tensors = STAGES[stage](chosen.work, chosen.seed, chosen.shrink)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, str(path))
        _say(f"{stage}: done")


def _say(line: str) -> None:
    print(line, flush=True)


def _vae(work: Path, seed: int, shrink: int) -> dict[str, torch.Tensor]:
    del work
    return train_vae(1300 // shrink, seed, 10_000 // shrink, log=_say)


def _vae_of(work: Path) -> Any:
    vae = build("vae").eval()
    load("vae", vae, load_file(str(work / "vae.safetensors")))
    without_idle(vae)
    return vae


def _data(work: Path, seed: int, shrink: int) -> dict[str, torch.Tensor]:
    data = make_data(_vae_of(work), _PICTURES // shrink, seed)
    _say(f"latents: deviation {data.latents.std(dim=(0, 2, 3)).tolist()}")
    return {"latents": data.latents, "words": data.words}


def _unet(name: str) -> Callable[[Path, int, int], dict[str, torch.Tensor]]:
    def train(work: Path, seed: int, shrink: int) -> dict[str, torch.Tensor]:
        recipe = RECIPES[name]
        data = Data(**load_file(str(work / "data.safetensors")))
        start = None if name == "ancestor" else load_file(str(work / "ancestor.safetensors"))
        if shrink > 1:
            recipe = Recipe(**{**vars(recipe), "steps": max(1, recipe.steps // shrink), "course": 0})
        return train_unet(recipe, data, seed + list(RECIPES).index(name), start, _say, work / f"{name}.state")

    return train


def _decoder(work: Path, seed: int, shrink: int) -> dict[str, torch.Tensor]:
    return train_decoder(
        load_file(str(work / "vae.safetensors")), _DECODER_STEPS // shrink, seed + 1, 3_000 // shrink, log=_say
    )


def _classifier(offset: int) -> Callable[[Path, int, int], dict[str, torch.Tensor]]:
    def train(work: Path, seed: int, shrink: int) -> dict[str, torch.Tensor]:
        weights = train_classifier(1200 // shrink, seed + offset, _vae_of(work), 8_000 // shrink, log=_say)
        _say(f"right answers: {accuracy(weights, 500, seed + 1000 + offset)}")
        return weights

    return train


def _pack(work: Path, seed: int, shrink: int) -> dict[str, torch.Tensor]:
    """Write what the repository stores, half precision, into the folder ``stored``."""
    del seed, shrink
    vae = load_file(str(work / "decoder.safetensors"))
    (common, a), (other, b) = (stored_tensors(vae | load_file(str(work / f"{n}.safetensors"))) for n in ("a", "b"))
    if not all(torch.equal(common[key], other[key]) for key in common):
        raise RuntimeError(f"A and B differ in what {COMMON} holds for both.")
    files = {COMMON: common, OWN[0]: a, OWN[1]: b}
    for stage, name in (("scorer", "demo.safetensors"), ("judge", "judge.safetensors")):
        files[name] = {key: value.half() for key, value in load_file(str(work / f"{stage}.safetensors")).items()}
    (work / "stored").mkdir(exist_ok=True)
    about = {"license": "MIT, the Optim authors; made by tools/demo_pair"}
    for name, tensors in files.items():
        save_file(tensors, str(work / "stored" / name), metadata=about)
        _say(f"{name}: {(work / 'stored' / name).stat().st_size} bytes")
    return {"stored": torch.tensor([len(files)])}


STAGES: Mapping[str, Callable[[Path, int, int], dict[str, torch.Tensor]]] = {
    "vae": _vae,
    "data": _data,
    "ancestor": _unet("ancestor"),
    "decoder": _decoder,
    "scorer": _classifier(100),
    "judge": _classifier(200),
    "a": _unet("a"),
    "b": _unet("b"),
    "pack": _pack,
}

if __name__ == "__main__":
    main()
