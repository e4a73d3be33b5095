"""What is said of memory before Start is what the merger keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from lib_optim.merging.memory import memory_plan
from lib_optim.merging.merger import Merger
from lib_optim.merging.methods import merge_method
from lib_optim.plan.blocks import block_map
from lib_optim.plan.header import read_header
from lib_optim.plan.space import space_of
from tests.merging.conftest import architecture, guide, random_values
from tests.merging.test_direct import Placed


@pytest.mark.parametrize("method", ["weighted_sum", "add_difference", "n_average", "add_difference_ties", "slerp"])
def test_the_plan_is_what_is_kept(method: str, checkpoints: Mapping[str, list[Path]]) -> None:
    row = merge_method(method)
    models = checkpoints["sd1"][: 2 if method in ("weighted_sum", "slerp") else 3]
    blocks = block_map("sd1")
    space = space_of(guide("unet", "text_encoder", parameters=("alpha",)), row, blocks)
    plan = memory_plan(row, models, architecture("sd1"), blocks, space, read_header(models[0]))
    merger = Merger(row, models, architecture("sd1"), blocks, space, 7)
    merger.write(random_values(space, 0), Placed(merger, torch.float16))
    assert plan.wanted == merger.constants.bytes
    shapes = merger.base_header.tensors
    size = 4 * sum(math.prod(shapes[key].shape) for key in merger.keys)
    assert plan.wanted == (0 if method in ("weighted_sum", "slerp") else size)
    assert plan.allowed > 0
    merger.close()
