"""What a saved checkpoint holds beside the merged tensors: all of the base, or what is needed; whose VAE."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.merging.writer import DTYPE_CODES
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.errors import CheckpointError, MergeError
from lib_optim.plan.header import DTYPE_BYTES, CheckpointHeader, TensorInfo, read_header
from lib_optim.plan.run_plan import SaveSpec

if TYPE_CHECKING:
    import torch

__all__ = ["Contents", "check_vae_is_free", "contents_of", "positions_broken", "saved_bytes"]

# The noise schedule of the training code: some models carry one of their own, so that it is never left out.
_SCHEDULE = frozenset({
    "betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "posterior_variance",
    "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2", "logvar", "scale_factor",
    "denoiser.sigmas",
})  # fmt: skip
# Tensors by which programs tell what the UNet predicts.
_MARKS = ("v_pred", "ztsnr", "edm_mean", "edm_std", "edm_vpred.")
_UNUSED = ("first_stage_model.loss.", "first_stage_model.model_ema.")
_VAE = "first_stage_model."
_VAE_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
_POSITIONS = "embeddings.position_ids"


@dataclass(frozen=True)
class Contents:
    """The tensors of a file to be saved.

    Attributes:
        tensors: Name to dtype and shape; they come from the merge or the base, except:
        vae: Names that come from another VAE file, to what they are called there.
        vae_file: That file, or None.
        positions: Names of CLIP's position ids that are stored repaired.
        dropped: Names of the base that are left out.
    """

    tensors: Mapping[str, TensorInfo]
    vae: Mapping[str, str]
    vae_file: Path | None
    positions: frozenset[str]
    dropped: tuple[str, ...]

    def other_tensors(self) -> dict[str, Any]:
        """Return loaders of the tensors that come neither from the merge nor from the base, by name."""
        import torch
        from safetensors import safe_open

        found: dict[str, Any] = {}
        for name in self.positions:
            shape = self.tensors[name].shape
            found[name] = lambda shape=shape: torch.arange(shape[-1]).expand(shape)
        if self.vae_file is not None:
            file = safe_open(str(self.vae_file), framework="pt", device="cpu")
            for name, theirs in self.vae.items():
                found[name] = lambda theirs=theirs: file.get_tensor(theirs)
        return found


def contents_of(header: CheckpointHeader, architecture: Architecture, save: SaveSpec) -> Contents:
    """Return what the saved file holds. Reads headers only.

    Args:
        header: Of the base's file.
        architecture: Its architecture.
        save: How to save.

    Raises:
        CheckpointError: The VAE file is missing, broken, or does not fit.
    """
    positions = {name for name in header.tensors if name.endswith(_POSITIONS)}
    fixed = {name for name in positions if save.fix_clip and positions_broken(header, name)}
    tensors: dict[str, TensorInfo] = {}
    dropped = []
    for name, info in header.tensors.items():
        component = architecture.component_of(name)
        if save.pruned and not _needed(name, component):
            dropped.append(name)
            continue
        dtype = info.dtype
        if name in fixed:
            dtype = "I64"
        elif dtype.startswith(("F", "BF")) and component is not None and name not in positions:
            dtype = DTYPE_CODES[save.dtype]
        tensors[name] = info if dtype == info.dtype else _info(dtype, info.shape)
    vae_file = Path(save.vae) if save.vae else None
    vae = _vae_names(vae_file, header, architecture) if vae_file is not None else {}
    for name, shape in _shapes(vae_file, vae).items():
        tensors[name] = _info(DTYPE_CODES[save.dtype], shape)
    return Contents(tensors, vae, vae_file, frozenset(fixed), tuple(dropped))


def saved_bytes(header: CheckpointHeader, architecture: Architecture, save: SaveSpec) -> int:
    """Return the size of the saved file's tensors.

    Raises:
        CheckpointError: As `contents_of`.
    """
    return sum(info.nbytes for info in contents_of(header, architecture, save).tensors.values())


def positions_broken(header: CheckpointHeader, name: str) -> bool:
    """Tell whether the base's CLIP position ids are anything but the whole numbers from 0 on (as merges leave them)."""
    import torch
    from safetensors import safe_open

    info = header.tensors[name]
    if info.dtype != "I64" or not info.shape:
        return True
    with safe_open(str(header.path), framework="pt", device="cpu") as file:
        tensor: torch.Tensor = file.get_tensor(name)
        return not torch.equal(tensor, torch.arange(info.shape[-1]).expand(info.shape))


def _needed(name: str, component: str | None) -> bool:
    if component is None:
        return name in _SCHEDULE or name.startswith(_MARKS)
    return not name.startswith(_UNUSED)


def _info(dtype: str, shape: tuple[int, ...]) -> TensorInfo:
    return TensorInfo(dtype, shape, math.prod(shape) * DTYPE_BYTES[dtype])


def _vae_names(path: Path, header: CheckpointHeader, architecture: Architecture) -> dict[str, str]:
    """Return what each VAE tensor of the base is called in the VAE file."""
    theirs = read_header(path)
    names = {}
    for name in theirs.tensors:
        bare = name.removeprefix(_VAE)
        if bare.startswith(_VAE_PARTS) and (name == bare or name.startswith(_VAE)):
            names[_VAE + bare] = name
    mine = {
        name: info.shape
        for name, info in header.tensors.items()
        if architecture.component_of(name) == "vae" and name.removeprefix(_VAE).startswith(_VAE_PARTS)
    }
    if not mine:
        raise CheckpointError(
            f"{header.path.name} holds no VAE, so that Optim cannot tell whether {path.name} fits; choose that VAE in "
            "the host instead."
        )
    missing = [name for name in mine if name not in names]
    if missing:
        other = any(".down_blocks." in name for name in theirs.tensors)
        reason = (
            "it is in the format of diffusers; get the one in a single file that the WebUIs use"
            if other
            else f"it lacks {len(missing)} tensors, such as '{missing[0]}'; choose a VAE file"
        )
        raise CheckpointError(f"{path.name} cannot be used as the VAE of {header.path.name}: {reason}.")
    for name, shape in mine.items():
        info = theirs.tensors[names[name]]
        if info.shape != shape or not info.dtype.startswith(("F", "BF")):
            raise CheckpointError(
                f"{path.name} does not fit {header.path.name}: its '{names[name]}' is {info.dtype} {list(info.shape)} "
                f"and the model's has the shape {list(shape)}; choose a VAE for {architecture.title}."
            )
    return {name: names[name] for name in mine}


def _shapes(path: Path | None, vae: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    theirs = read_header(path).tensors if path is not None else {}
    return {name: theirs[name_there].shape for name, name_there in vae.items()}


def check_vae_is_free(save: SaveSpec, merged: Collection[str]) -> None:
    """Refuse to store another VAE over one that is merged.

    Raises:
        MergeError: Both are asked for.
    """
    if save.vae and any(name.startswith(_VAE) for name in merged):
        raise MergeError(
            f"The VAE is merged, so {Path(save.vae).name} cannot be stored instead of it; keep the "
            "merge's VAE, or leave the VAE out of the merge."
        )
