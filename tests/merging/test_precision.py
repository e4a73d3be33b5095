"""Rounding to the precision of the saved file: what an fp32 host shows is what the file will give."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lib_optim.merging.merger import Merger
from lib_optim.merging.methods import merge_method
from lib_optim.plan.architectures import architecture_of
from lib_optim.plan.blocks import block_map
from lib_optim.plan.errors import MergeError
from lib_optim.plan.guide import Guide
from lib_optim.plan.header import read_header
from lib_optim.plan.space import space_of
from tests.checkpoints import make_checkpoint


def open_merger(folder: Path, precision: str, **changes: object) -> Merger:
    paths = [folder / "a.safetensors", folder / "b.safetensors"]
    for seed, path in enumerate(paths):
        make_checkpoint(path, "sd1", seed, torch.float32, **changes)  # type: ignore[arg-type]
    method, blocks = merge_method("weighted_sum"), block_map("sd1")
    space = space_of(Guide.per_block(), method, blocks)
    return Merger(method, paths, architecture_of(read_header(paths[0])), blocks, space, 0, precision=precision)


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_results_survive_the_cast_of_the_saved_file(tmp_path: Path, precision: str, dtype: torch.dtype) -> None:
    merger = open_merger(tmp_path, precision)
    values = {parameter.name: 0.3 for parameter in merger.space.parameters}
    rounded = {name: tensor.clone() for name, tensor in merger.tensors(values)}
    merger.close()
    exact = open_merger(tmp_path, "fp32")
    changed = 0
    for name, tensor in exact.tensors(values):
        assert torch.equal(rounded[name], tensor.to(dtype).to(torch.float32))
        changed += not torch.equal(rounded[name], tensor)
    exact.close()
    assert changed > 800


def test_a_result_too_large_for_the_file_fails_before_it_is_written(tmp_path: Path) -> None:
    key = "model.diffusion_model.out.2.bias"
    merger = open_merger(tmp_path, "fp16", replace={key: torch.full((4,), 1e5)})
    values = {parameter.name: 0.5 for parameter in merger.space.parameters}
    with pytest.raises(MergeError, match="too large for fp16"):
        list(merger.tensors(values))
    merger.close()
