"""The digest sees every change of a bit, and only those."""

from __future__ import annotations

import time

import pytest
import torch

from lib_optim.hosts.digest import tensor_digest


def _random(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.uint8]
)
@pytest.mark.parametrize("count", [0, 1, 3, 8, 1001, (1 << 20) + 5])
def test_the_same_bits_have_the_same_digest_wherever_they_lie(dtype: torch.dtype, count: int) -> None:
    tensor = (_random((count,), torch.float32) * 100).to(dtype)
    digest = tensor_digest(tensor)
    shifted = torch.empty(count + 3, dtype=dtype)
    shifted[3:] = tensor
    assert -(2**63) <= digest < 2**63
    assert tensor_digest(shifted[3:]) == digest
    assert tensor_digest(tensor.clone()) == digest


def test_strides_and_shape_do_not_matter_but_logical_order_does() -> None:
    tensor = _random((6, 5, 3, 3), torch.float16)
    assert tensor_digest(tensor.to(memory_format=torch.channels_last)) == tensor_digest(tensor)
    assert tensor_digest(tensor.reshape(6, 45)) == tensor_digest(tensor)
    assert tensor_digest(tensor.transpose(0, 1)) != tensor_digest(tensor)


@pytest.mark.parametrize("count", [1, 2, 7, 4096, (1 << 19) + 1])
def test_a_flip_of_any_single_bit_is_seen(count: int) -> None:
    tensor = _random((count,), torch.float16)
    before = tensor_digest(tensor)
    bits = tensor.view(torch.int16)
    for position in {0, count // 3, count // 2, count - 1}:
        for bit in range(16):
            mask = 1 << bit if bit < 15 else -(1 << 15)
            bits[position] ^= mask
            assert tensor_digest(tensor) != before, (position, bit)
            bits[position] ^= mask
    assert tensor_digest(tensor) == before


def test_swaps_are_seen_within_a_word_within_a_chunk_and_between_chunks() -> None:
    tensor = _random((1 << 21,), torch.float16)
    before = tensor_digest(tensor)
    for i, j in ((0, 1), (5, 500), (3, (1 << 21) - 1), (0, 1 << 19), (7, 7 + (1 << 20))):
        swapped = tensor.clone()
        swapped[i], swapped[j] = tensor[j].clone(), tensor[i].clone()
        assert tensor_digest(swapped) != before, (i, j)
    chunks = torch.cat([tensor[1 << 20 :], tensor[: 1 << 20]])
    assert tensor_digest(chunks) != before


def test_signed_zero_length_and_element_size_count() -> None:
    assert tensor_digest(torch.tensor([0.0])) != tensor_digest(torch.tensor([-0.0]))
    assert tensor_digest(torch.zeros(3)) != tensor_digest(torch.zeros(4))
    assert tensor_digest(torch.zeros(4, dtype=torch.float16)) != tensor_digest(torch.zeros(2, dtype=torch.float32))


def test_parameters_and_inference_tensors_can_be_read() -> None:
    plain = _random((33, 7), torch.float32)
    with torch.inference_mode():
        inference = plain.clone()
    parameter = torch.nn.Parameter(plain.clone())
    assert tensor_digest(inference) == tensor_digest(parameter) == tensor_digest(plain)
    with torch.inference_mode():
        assert tensor_digest(plain) == tensor_digest(parameter)


def test_the_value_is_pinned() -> None:
    assert tensor_digest(torch.arange(1000, dtype=torch.int32)) == PINNED


def test_it_is_fast() -> None:
    tensor = torch.zeros(1 << 25, dtype=torch.float16)
    tensor_digest(tensor)
    start = time.perf_counter()
    tensor_digest(tensor)
    assert time.perf_counter() - start < 1.0, "64 MiB should take some 30 ms"


PINNED = 4046161857452883344


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and this machine has none")
def test_cuda_agrees_with_the_cpu() -> None:
    tensor = _random(((1 << 20) + 5,), torch.float16)
    assert tensor_digest(tensor.cuda()) == tensor_digest(tensor)
