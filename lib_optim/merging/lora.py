"""The difference of weights that a module of a LoRA or LyCORIS file stands for, computed in fp32.

Formulas: LoRA (Hu et al. 2021, arXiv:2106.09685) ``(alpha / rank)·up·down``, with a core tensor in between for
convolutions; LoHa (FedPara, Hyeon-Woo et al. 2021, arXiv:2108.06098) ``(w1a·w1b) ∘ (w2a·w2b)``; LoKr (LyCORIS, Yeh et
al. 2023, arXiv:2309.14859) ``w1 ⊗ w2``; IA3 (Liu et al. 2022, arXiv:2205.05638) ``W·w`` along one side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["bias_delta", "weight_delta"]

Tensors = Mapping[str, "torch.Tensor"]


def weight_delta(ends: Tensors, weight: Callable[[], torch.Tensor], numel: int) -> torch.Tensor:
    """Return the difference that one module adds to a weight.

    Args:
        ends: End of name (``lora_up.weight``) to tensor, fp32.
        weight: Gives the weight itself in fp32, shape (out, in, …): IA3 scales it.
        numel: How many numbers the weight has.

    Returns:
        fp32, contiguous, shape (out, in·kernel) or the weight's own; to be reshaped by the caller.

    Raises:
        ValueError: The tensors fit neither a known form nor each other; a clause for the user.
    """
    for marks, form in _FORMS:
        if set(marks) <= set(ends):
            try:
                delta = form(ends, weight)
            except (RuntimeError, IndexError) as error:
                raise ValueError(f"its tensors do not fit each other ({' '.join(str(error).split())})") from error
            if delta.numel() != numel:
                raise ValueError(f"it makes {delta.numel()} numbers where the model has {numel}")
            return delta
    raise ValueError(f"it holds only {', '.join(sorted(ends))}")


def bias_delta(ends: Tensors) -> torch.Tensor:
    """Return the difference that one module adds to a bias, fp32."""
    return ends["diff_b"] if "diff_b" in ends else ends["b_norm"]


def _scale(ends: Tensors, rank: int) -> float:
    alpha = ends.get("alpha")
    return alpha.item() / rank if alpha is not None else 1.0


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(tensor.shape[0], -1)


def _through_core(core: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Tucker form: `core` (r, s, …) with `left` (r, out) and `right` (s, in) gives (out, in, …)."""
    import torch

    return torch.einsum("ij...,ip,jr->pr...", core, left, right)


def _lora(ends: Tensors, _: object) -> torch.Tensor:
    up, down = ends["lora_up.weight"], ends["lora_down.weight"]
    scale = _scale(ends, down.shape[0])
    if "lora_mid.weight" in ends:
        return _through_core(ends["lora_mid.weight"], _flat(up).T, _flat(down)) * scale
    return (_flat(up) @ _flat(down)) * scale


def _loha(ends: Tensors, _: object) -> torch.Tensor:
    factors = []
    for n in "12":
        a, b = ends[f"hada_w{n}_a"], ends[f"hada_w{n}_b"]
        core = ends.get(f"hada_t{n}")
        factors.append(_flat(a) @ _flat(b) if core is None else _through_core(core, a, b))
    return factors[0] * factors[1] * _scale(ends, ends["hada_w1_b"].shape[0])


def _lokr(ends: Tensors, _: object) -> torch.Tensor:
    import torch

    rank = None  # only what is factorised has a rank, and only then alpha counts
    if "lokr_w1" in ends:
        first = ends["lokr_w1"]
    else:
        rank = ends["lokr_w1_b"].shape[0]
        first = ends["lokr_w1_a"] @ ends["lokr_w1_b"]
    if "lokr_w2" in ends:
        second = ends["lokr_w2"]
    else:
        a, b = ends["lokr_w2_a"], ends["lokr_w2_b"]
        rank = b.shape[0]
        second = _flat(a) @ _flat(b) if "lokr_t2" not in ends else _through_core(ends["lokr_t2"], a, b)
    kernel = second.shape[2:]
    delta = torch.kron(first.reshape(*first.shape, *[1] * len(kernel)), second.contiguous())
    return delta if rank is None else delta * _scale(ends, rank)


def _full(ends: Tensors, _: object) -> torch.Tensor:
    return ends["diff"]


def _norm(ends: Tensors, _: object) -> torch.Tensor:
    return ends["w_norm"]


def _ia3(ends: Tensors, weight: Callable[[], torch.Tensor]) -> torch.Tensor:
    w = weight()
    side = 1 if bool(ends["on_input"].item()) else 0
    shape = [1] * w.dim()
    shape[side] = w.shape[side]
    return w * ends["weight"].reshape(shape)


_FORMS: tuple[tuple[tuple[str, ...], Callable[[Tensors, Callable[[], torch.Tensor]], torch.Tensor]], ...] = (
    (("lora_up.weight", "lora_down.weight"), _lora),
    (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"), _loha),
    (("lokr_w1", "lokr_w2"), _lokr),
    (("lokr_w1", "lokr_w2_a", "lokr_w2_b"), _lokr),
    (("lokr_w1_a", "lokr_w1_b", "lokr_w2"), _lokr),
    (("lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"), _lokr),
    (("diff",), _full),
    (("w_norm",), _norm),
    (("on_input", "weight"), _ia3),
)
