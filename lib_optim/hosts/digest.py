"""One number per tensor that says whether a single bit of it changed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["tensor_digest"]

_WORDS = 1 << 17  # words per chunk: 1 MiB, so that a chunk and its products stay in the processor's cache


def tensor_digest(tensor: torch.Tensor) -> int:
    """Return a digest of the bits of `tensor`, computed on the device that holds it.

    The bytes, in logical (row-major) order, are read as 64-bit words; each chunk of words is summed with odd
    pseudo-random weights, and so are the sums of the chunks, all modulo 2**64. Sums of integers do not depend on the
    order in which a device adds, so CPU and GPU agree. A change within one word always changes the digest; any other
    change (permutations included) goes unseen with a chance of about 2**-62. It is no cryptographic hash.

    Args:
        tensor: Any strided tensor; -0.0 and 0.0, and different NaNs, count as different. Not changed.

    Returns:
        -(2**63) to 2**63 - 1. Tensors of the same bits and element size have the same digest whatever their shape,
        strides, device or alignment. Costs one device synchronisation, and memory for one chunk (for the whole tensor
        only where its elements do not lie in row-major order).
    """
    import torch

    with torch.no_grad():
        flat = tensor.detach().contiguous().reshape(-1)
        data = flat.view(torch.uint8)
        size = data.numel()
        # Views as words need memory aligned to words, which a slice of a mapped file need not have.
        aligned = data.data_ptr() % 8 == 0 and data.storage_offset() % 8 == 0
        weights = _weights(data.device)
        scratch = torch.empty_like(weights[: max(1, min(_WORDS, size // 8))])
        sums = []
        for start in range(0, size, 8 * _WORDS):
            chunk = data[start : min(start + 8 * _WORDS, size)]
            whole = chunk.numel() // 8
            if whole:
                words = (chunk if aligned else chunk.clone())[: 8 * whole].view(torch.int64)
                sums.append(torch.mul(words, weights[:whole], out=scratch[:whole]).sum())
            if chunk.numel() % 8:
                tail = torch.zeros(8, dtype=torch.uint8, device=data.device)
                tail[: chunk.numel() % 8] = chunk[8 * whole :]
                sums.append((tail.view(torch.int64) * weights[whole % _WORDS]).sum())
        total = 0
        for start in range(0, len(sums), _WORDS):
            part = torch.stack(sums[start : start + _WORDS])
            total = total * 0x9E3779B97F4A7C15 + int((part * weights[: part.numel()]).sum().item())
    # All 64 bits count: the top bit of a word (a sign) reaches only the top bit of the sum.
    return _signed((total ^ (size << 8 | flat.element_size())) % (1 << 64))


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


@functools.cache
def _weights(device: torch.device) -> torch.Tensor:
    """Odd 64-bit weights from splitmix64 (Steele, Lea, Flood 2014), which every device computes alike."""
    import torch

    def shifted(x: torch.Tensor, by: int) -> torch.Tensor:
        return (x >> by) & ((1 << (64 - by)) - 1)  # torch shifts signed numbers; this shifts in zeros

    with torch.inference_mode(False):
        z = torch.arange(1, _WORDS + 1, dtype=torch.int64) * _signed(0x9E3779B97F4A7C15)
        z = (z ^ shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
        z = (z ^ shifted(z, 27)) * _signed(0x94D049BB133111EB)
        return ((z ^ shifted(z, 31)) | 1).to(device)
