"""What a method gave, on its way into live memory: every bit as through the longer way, and nothing broken arrives."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import pytest
import torch

from lib_optim.merging.results import PRECISIONS, Results, torch_dtype
from lib_optim.plan.errors import MergeError


class Live:
    """One tensor's memory; notes what came by `write`."""

    def __init__(self, dtype: torch.dtype | None, shape: tuple[int, ...] = (2, 3)) -> None:
        self.memory = None if dtype is None else torch.full(shape, math.nan, dtype=dtype)
        self.came: list[torch.Tensor] = []

    def keys(self) -> list[str]:
        return ["name"]

    def write(self, key: str, tensor: torch.Tensor) -> None:
        self.came.append(tensor.clone())

    def place(self, key: str) -> torch.Tensor | None:
        return self.memory

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        with torch.no_grad():
            yield

    def is_original(self, key: str) -> bool:
        return False

    def digests(self) -> dict[str, int]:
        return {}


def results(precision: str) -> Results:
    return Results(precision, lambda key: (2, 3), lambda key, reason: MergeError(f"{key}: {reason}."))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_memory_gets_what_a_saved_file_would_give(precision: str, dtype: torch.dtype) -> None:
    tensor, live = torch.randn(2, 3, generator=torch.Generator().manual_seed(1)), Live(dtype)
    results(precision).put("key", "name", tensor, live)
    assert live.memory is not None
    assert torch.equal(live.memory, tensor.to(torch_dtype(precision)).float().to(dtype))
    assert live.came == []


@pytest.mark.parametrize(
    ("live", "tensor"),
    [
        (Live(None), torch.ones(2, 3)),
        (Live(torch.float8_e4m3fn), torch.ones(2, 3)),
        (Live(torch.float16), torch.full((2, 3), 1e5)),
        (Live(torch.float32), torch.ones(2, 3, dtype=torch.int64)),
    ],
    ids=["no memory", "8 bits", "too large for the memory", "whole numbers"],
)
def test_what_memory_cannot_take_as_it_is_goes_the_longer_way_where_it_is_refused_or_clamped(
    live: Live, tensor: torch.Tensor
) -> None:
    results("fp32").put("key", "name", tensor, live)
    assert [seen.tolist() for seen in live.came] == [tensor.tolist()]


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.full((2, 3), math.nan), "holds NaN or infinity"),
        (torch.tensor([[0.0, 1, 2], [3, math.inf, 5]]), "holds NaN or infinity"),
        (torch.full((2, 3), 65520.0), "too large for fp16"),
        (torch.ones(7), r"has the shape \(7,\) instead of \(2, 3\)"),
    ],
)
def test_nothing_broken_is_written(tensor: torch.Tensor, words: str) -> None:
    live = Live(torch.float16)
    with pytest.raises(MergeError, match=words):
        results("fp16").put("key", "name", tensor, live)
    assert live.memory is not None
    assert live.memory.isnan().all()
    assert live.came == []


def test_the_largest_number_that_rounds_down_to_fp16_is_not_refused() -> None:
    live = Live(torch.float16)
    results("fp16").put("key", "name", torch.full((6,), 65519.0), live)
    assert live.memory is not None
    assert live.memory.tolist() == [[65504.0] * 3] * 2
