"""How a checkpoint stores its weights, as far as its header tells: precision, quantisation, training leftovers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from lib_optim.plan.header import CheckpointHeader

__all__ = ["EMA", "SCHEDULE", "in_channels", "main_dtype", "prediction_of", "quantisation_of"]

EMA = "model_ema."
"""Begins the names of the EMA copies of a UNet."""

SCHEDULE = "alphas_cumprod"
"""A tensor of the noise schedule, which files from training have."""

_FIRST = "model.diffusion_model.input_blocks.0.0.weight"
_DTYPES: Mapping[str, str] = {
    "F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "F8_E4M3": "fp8 (e4m3)", "F8_E5M2": "fp8 (e5m2)",
}  # fmt: skip

# What a quantised file is recognised by, and what to call it; the first that fits.
_QUANTISED: tuple[tuple[Callable[[str, str], bool], str], ...] = (
    (lambda key, _: "bitsandbytes__nf4" in key, "nf4 (4 bits)"),
    (lambda key, _: "bitsandbytes__fp4" in key, "fp4 (4 bits)"),
    (lambda key, _: key.endswith((".quant_map", ".absmax")), "bitsandbytes (4 or 8 bits)"),
    (lambda key, _: key == "scaled_fp8" or key.endswith((".scale_weight", ".weight_scale")), "scaled fp8"),
    (lambda key, _: key.endswith((".qweight", ".qzeros", ".SCB")), "GPTQ, AWQ or LLM.int8"),
    (lambda key, dtype: dtype in ("I8", "U8") and key.endswith(".weight"), "8-bit whole numbers"),
)


def quantisation_of(header: CheckpointHeader) -> str | None:
    """Return how a file is quantised, so that its numbers are no weights by themselves; None for an ordinary one."""
    for fits, title in _QUANTISED:
        if any(fits(key, info.dtype) for key, info in header.tensors.items()):
            return title
    return None


def main_dtype(header: CheckpointHeader) -> str:
    """Return the precision of most of the weights by size, in the field's words: ``fp16``, ``fp8 (e4m3)``."""
    sizes: Counter[str] = Counter()
    for key, info in header.tensors.items():
        if info.dtype in _DTYPES and not key.startswith(EMA):
            sizes[info.dtype] += info.nbytes
    return _DTYPES[sizes.most_common(1)[0][0]] if sizes else "no floating numbers"


def in_channels(header: CheckpointHeader) -> int | None:
    """Return how many channels the UNet takes: 4 for pictures from text, 9 for inpainting; None where unknown."""
    info = header.tensors.get(_FIRST)
    return info.shape[1] if info is not None and len(info.shape) == 4 else None


def prediction_of(header: CheckpointHeader) -> tuple[str, bool]:
    """Return what the UNet predicts, ``noise`` or ``velocity``, and whether its noise ends in pure noise.

    Ordinary files say neither and predict noise; SDXL files carry empty marks (``v_pred``, ``ztsnr``, ComfyUI's
    ``edm_vpred.…``), others a line of metadata (``modelspec.prediction_type``).
    """
    marks = header.tensors
    said = header.metadata.get("modelspec.prediction_type", "").lower()
    velocity = "v_pred" in marks or "edm_vpred.sigma_max" in marks or said in ("v", "v_prediction")
    return ("velocity" if velocity else "noise"), "ztsnr" in marks
