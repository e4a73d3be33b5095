"""Every method, on true key names, gives bit for bit what sd_mecha.merge gives for the recipe that is saved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from lib_optim.merging.fallback import quiet_progress
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.methods import merge_methods
from lib_optim.plan.bounds import Bound
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.methods import MergeMethod
from tests.checkpoints import checkpoint_shapes, make_checkpoint
from tests.merging.conftest import Sink, guide, open_merger, random_values

# Narrower than what is offered, so that the tests end: a fractional alignment takes matrix logarithms of every layer.
BOUNDS = {
    "alignment": Bound("choice", choices=(0.0, 1.0)),
    "maxiter": Bound("int", 1, 3),
    "rank": Bound("int", 1, 8),
}
# A layer adjustment has a test of its own.
METHODS = [row for row in merge_methods() if not all(p.blocks for p in row.parameters)]
CASES = [(row, count) for row in METHODS for count in (1, 2, 3) if row.takes(count)]
IDS = [f"{row.id}-{count}" for row, count in CASES]


def _bounds(row: MergeMethod) -> dict[str, Bound]:
    return {name: bound for name, bound in BOUNDS.items() if row.parameter(name) is not None}


def _varied(row: MergeMethod) -> tuple[str, ...]:
    """Everything that the user could vary, but tolerances of iterations."""
    return tuple(p.name for p in row.parameters if not p.bound.log or p.name == "rank")


# Blocks of each kind (first, with and without attention, resampling, middle, last); all of them only for two methods.
SOME_BLOCKS = {"sd1": ("IN00", "IN01", "IN03", "M00", "OUT02", "OUT11"), "sdxl": ("IN00", "IN04", "OUT02", "OUT08")}
ALL = {("weighted_sum", 2): {"sd1": 882, "sdxl": 2266}, ("add_difference", 3): {"sd1": 882, "sdxl": 2266}}


def _expected(text: str, folder: Path, whole: bool) -> dict[str, torch.Tensor]:
    """Run recipe text as a user would; `whole` also gives the keys that come from the base."""
    mecha = sd_mecha()
    mecha.model_dirs.add_path(folder)
    recipe = mecha.deserialize(text)
    assert recipe.merge_method.identifier == "fallback"
    result: dict[str, torch.Tensor] = mecha.merge(
        recipe if whole else recipe.bound_args.args[0],
        merge_dtype=torch.float32, output_dtype=torch.float32, threads=0, total_buffer_size=1 << 20,
        check_extra_keys=False, tqdm=quiet_progress(), output=None,
    )  # fmt: skip
    return result


@pytest.fixture(scope="module")
def thin(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Path]]:
    """Three models of each layout in which layers that are alike occur once or twice, so that the tests end."""
    folder = tmp_path_factory.mktemp("thin")
    again = re.compile(r"\.(?:layers|resblocks)\.([2-9]|\d\d)\.|transformer_blocks\.[2-9]\.|^first_stage_model\.[ed]")
    return {
        name: [
            make_checkpoint(
                folder / f"{name}-{seed}.safetensors", name, seed, (torch.float16, torch.float32, torch.bfloat16)[seed],
                without=[key for key in checkpoint_shapes(name) if again.search(key)],
            )
            for seed in range(3)
        ]
        for name in ("sd1", "sdxl")
    }  # fmt: skip


@pytest.mark.parametrize("layout", ["sd1", "sdxl"])
@pytest.mark.parametrize(("row", "count"), CASES, ids=IDS)
def test_equals_sd_mecha(
    row: MergeMethod,
    count: int,
    layout: str,
    checkpoints: Mapping[str, list[Path]],
    thin: Mapping[str, list[Path]],
) -> None:
    keys = ALL.get((row.id, count), {}).get(layout)
    models = (checkpoints if keys else thin)[layout][:count]
    parameters = _varied(row)
    every = Strategy("all", parameters=parameters)
    unet = every if keys else Strategy("select", SOME_BLOCKS[layout], parameters=parameters)
    text = ComponentGuide("text_encoder", (every,))
    merger = open_merger(row.id, models, layout, Guide((text, ComponentGuide("unet", (unet,))), _bounds(row)))
    assert not merger.slow
    values = random_values(merger.space, 1)
    sink = Sink(merger.keys)
    report = merger.write(values, sink)
    expected = _expected(merger.recipe(values).text, models[0].parent, whole=False)
    assert report.written == merger.keys
    assert set(expected) - {"__metadata__"} == set(merger.keys)
    assert keys is None or len(merger.keys) == keys
    assert layout == "sd1" or "conditioner.embedders.1.model.logit_scale" in merger.keys
    for key in merger.keys:
        assert torch.equal(sink.tensors[key], expected[key].reshape(sink.tensors[key].shape)), key
    changed = sum(not torch.equal(sink.tensors[k], merger.base_tensor(k).float()) for k in merger.keys)
    assert changed > len(merger.keys) / 4, "the merge did next to nothing, so that equality shows little"
    merger.close()


def test_the_recipe_text_keeps_everything_else_as_the_base(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2], "sd1", guide("unet"))
    expected = _expected(merger.recipe(random_values(merger.space, 3)).text, checkpoints["sd1"][0].parent, whole=True)
    untouched = [key for key in merger.base_header.tensors if key not in set(merger.keys)]
    assert any(key.startswith("first_stage_model.") for key in untouched)
    assert any(key.startswith("cond_stage_model.") for key in untouched)
    for key in untouched:
        assert torch.equal(expected[key], merger.base_tensor(key).float()), key


def test_storage_in_fp32_is_merged_from_copies(tmp_path: Path) -> None:
    """tensor_sum writes into what it is given: with fp32 files there is no cast that would make a copy by chance."""
    models = [make_checkpoint(tmp_path / f"{n}.safetensors", "sd1", n, torch.float32) for n in range(2)]
    merger = open_merger("tensor_sum", models, "sd1", guide("text_encoder"))
    values = random_values(merger.space, 4)
    first = {key: tensor.clone() for key, tensor in merger.tensors(values)}
    again = {key: tensor.clone() for key, tensor in merger.tensors(values)}
    expected = _expected(merger.recipe(values).text, tmp_path, whole=False)
    for key in merger.keys:
        assert torch.equal(first[key], again[key])
        assert torch.equal(first[key], expected[key]), key
