"""A recipe run by sd-mecha alone gives the checkpoint that was saved."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib_optim.merging.merger import Merger
from lib_optim.merging.methods import merge_method, merge_methods
from lib_optim.merging.run_recipe import recipe_text, run_recipe
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.blocks import block_map
from lib_optim.plan.errors import MergeError, OptimError
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.run_plan import SaveSpec
from lib_optim.plan.space import space_of
from tests.merging.conftest import architecture, guide, open_merger, random_values, same_value


@pytest.fixture
def merger(checkpoints: Mapping[str, list[Path]]) -> Merger:
    return open_merger("weighted_sum", checkpoints["sd1"][:2])


@pytest.mark.parametrize(
    ("method", "count", "spec"),
    [
        ("weighted_sum", 2, SaveSpec("fp16")),
        ("add_difference", 3, SaveSpec("fp32", pruned=True)),
        ("add_ties_with_dare", 3, SaveSpec("bf16")),
        ("optim_smooth_add", 3, SaveSpec("fp16", pruned=True)),
    ],
)
def test_the_recipe_run_by_sd_mecha_alone_gives_the_saved_tensors(
    method: str, count: int, spec: SaveSpec, checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    if method not in {row.id for row in merge_methods()}:
        pytest.skip(f"there is no method {method}")
    models = checkpoints["sd1"][:count]
    row = merge_method(method)
    some = Guide((ComponentGuide("unet", (Strategy("select", ("IN03", "OUT11", "FINAL")),)),))
    space = space_of(guide("text_encoder", "unet") if count == 2 else some, row, block_map("sd1"))
    merger = Merger(row, models, architecture("sd1"), block_map("sd1"), space, 7, precision=spec.dtype, memory=0)
    saved = save_checkpoint(merger, random_values(space, 4), tmp_path / "saved.safetensors", spec, {})
    again = run_recipe(recipe_text(saved), [models[0].parent], tmp_path / "again.safetensors", spec)
    one, two = load_file(saved), load_file(again)
    assert one.keys() == two.keys()
    assert all(one[k].dtype == two[k].dtype and torch.equal(one[k], two[k]) for k in one)


def test_a_recipe_that_cannot_be_run_says_why(merger: Merger, tmp_path: Path) -> None:
    text = merger.recipe(same_value(merger.space, 0.5)).text
    folder, target = merger.models[0].parent, tmp_path / "m.safetensors"
    (tmp_path / "copy").mkdir()
    shutil.copy(merger.models[0], tmp_path / "copy")
    for recipe, folders, sentence in (
        ("nonsense", [folder], "The recipe cannot be read: bad format"),
        (text.replace("weighted_sum", "wheighted_sum"), [folder], "The recipe cannot be read: .*wheighted_sum"),
        (text, [tmp_path / "copy"], r"names the model sd1 B\.safetensors, which is not in .*copy; put it there"),
        (text, [folder, tmp_path / "copy"], r"sd1 A\.safetensors is there 2 times"),
    ):
        with pytest.raises(OptimError, match=sentence):
            run_recipe(recipe, folders, target, SaveSpec())
    assert not target.exists()
    with pytest.raises(MergeError, match="holds no recipe"):
        recipe_text(merger.models[0])
    with pytest.raises(MergeError, match="is one of the models"):
        run_recipe(text, [folder], merger.models[1], SaveSpec())
