"""The common base of several models, found from their weights; and silence where the files do not tell."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lib_optim.merging.ancestor import base_place, likely_base
from lib_optim.merging.methods import method_row
from tests.checkpoints import checkpoint_tensors
from tests.loras import LoraMaker

KEY = "model.diffusion_model.input_blocks.1.1.proj_in.weight"


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base, three fine-tunings of it (one trained ten times as long), a child of one, a merge and a stranger."""
    folder = tmp_path_factory.mktemp("family")
    base = {key: t.float() for key, t in checkpoint_tensors("sd1", 0, width=8).items() if t.is_floating_point()}
    generator = torch.Generator().manual_seed(1)

    def trained(start: dict[str, torch.Tensor], much: float) -> dict[str, torch.Tensor]:
        return {key: t + torch.randn(t.shape, generator=generator) * much for key, t in start.items()}

    tensors = {"base": base, "one": trained(base, 0.01), "two": trained(base, 0.02), "far": trained(base, 0.1)}
    tensors["child"] = trained(tensors["one"], 0.01)
    tensors["mean"] = {key: (tensors["one"][key] + tensors["two"][key]) / 2 for key in base}
    tensors["other"] = {key: t.float() for key, t in checkpoint_tensors("sd1", 9, width=8).items() if key in base}
    tensors["same"] = tensors["one"]
    paths = {}
    for name, content in tensors.items():
        paths[name] = folder / f"{name}.safetensors"
        save_file({key: tensor.half() for key, tensor in content.items()}, paths[name])
    return paths


@pytest.mark.parametrize("names", list(itertools.permutations(["base", "one", "two"])))
def test_the_base_is_found_wherever_it_stands(family: dict[str, Path], names: tuple[str, ...]) -> None:
    assert likely_base([family[name] for name in names]) == names.index("base")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["one", "two", "base", "far"], 2),  # also of models trained unequally long
        (["far", "one", "base"], None),  # ten times as far: the small difference drowns in the large one
        (["child", "base", "one"], 2),  # one is what its child comes from, and base comes before it: the middle one
        (["one", "two", "far"], None),  # no base among them
        (["one", "two", "other"], None),  # the stranger is the base of nothing
        (["one", "two", "mean"], None),  # a merge is no ancestor
        (["base", "one", "same"], None),
        (["base", "one"], None),
    ],
)
def test_what_the_files_tell(family: dict[str, Path], names: list[str], found: int | None) -> None:
    assert likely_base([family[name] for name in names]) == found


def test_loras_take_no_part(family: dict[str, Path], tmp_path: Path) -> None:
    lora = LoraMaker(family["base"]).lora("unet_input_blocks_1_1_proj_in", KEY).save(tmp_path / "lora.safetensors")
    assert likely_base([family["one"], lora, family["two"], family["base"]]) == 3
    assert likely_base([family["base"], family["one"], lora]) is None


@pytest.mark.parametrize(
    ("method", "models", "place"),
    [
        ("add_difference", 3, 2), ("add_difference", 2, None), ("train_difference_mask", 3, 2),
        ("add_perpendicular", 3, 2), ("add_difference_ties", 4, 0), ("add_ties_with_dare", 3, 0),
        ("n_average", 4, None), ("weighted_sum", 2, None), ("sum_twice", 3, None),
    ],
)  # fmt: skip
def test_which_model_a_method_takes_for_the_base(method: str, models: int, place: int | None) -> None:
    assert base_place(method_row(method), models) == place
