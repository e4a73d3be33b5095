"""A loaded checkpoint: its modules, and the table from its keys to their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.hosts.base import Checkpoint
from lib_optim.hosts.standalone.parts import PARTS, Part
from lib_optim.hosts.transforms import LiveTable, Source, derive_table
from lib_optim.plan.architectures import Architecture, architecture_of
from lib_optim.plan.errors import CheckpointError, HostError
from lib_optim.plan.header import CheckpointHeader, read_header

if TYPE_CHECKING:
    import torch

__all__ = ["LoadedModel", "live_table", "load_model", "skeleton"]

_FLOATING = ("F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2")


@dataclass
class LoadedModel:
    """A checkpoint in memory.

    Attributes:
        checkpoint: Where it came from.
        stamp: Size and time of the file when it was read.
        architecture: Row of ``plan.architectures``.
        modules: ``text_encoder``, ``unet``, ``vae``, and ``text_encoder_2`` for SDXL.
        table: Every floating key of the file.
        prediction: What the UNet predicts, in diffusers' words.
        zero_terminal_snr: Whether the noise schedule ends in pure noise.
        embeddings: Prompt embeddings made with the text encoder as it is; emptied when it changes.
        dirty: Written into and not yet restored.
    """

    checkpoint: Checkpoint
    stamp: tuple[int, int]
    architecture: Architecture
    modules: dict[str, Any]
    table: LiveTable
    prediction: str = "epsilon"
    zero_terminal_snr: bool = False
    embeddings: dict[Any, Any] = field(default_factory=dict)
    dirty: bool = False

    def tensor(self, name: str) -> torch.Tensor:
        """Return the parameter or buffer ``part.dotted.name``."""
        part, _, path = name.partition(".")
        owner, _, leaf = path.rpartition(".")
        tensor: torch.Tensor = getattr(self.modules[part].get_submodule(owner), leaf)
        return tensor


def file_stamp(path: Path) -> tuple[int, int]:
    """Return size and modification time, to notice a file that was replaced."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def skeleton(shapes: Mapping[str, tuple[int, ...]], architecture: str) -> dict[str, Any]:
    """Return the modules for a checkpoint of these shapes, with meta tensors for weights.

    Raises:
        CheckpointError: Tensors are missing that the configuration needs.
    """
    import torch

    with torch.device("meta"):
        return {part.name: part.build(shapes).eval().requires_grad_(False) for part in PARTS[architecture]}


def live_table(
    shapes: Mapping[str, tuple[int, ...]], architecture: Architecture, modules: Mapping[str, Any]
) -> LiveTable:
    """Derive the table from floating checkpoint keys to ``part.parameter`` names.

    Args:
        shapes: Floating keys only; keys outside every component are left out.
        architecture: Their architecture.
        modules: What `skeleton` returned; weights may be on the meta device.
    """
    rows: dict[str, Source] = {}
    unfed: list[str] = []
    for part in PARTS[architecture.id]:
        module = modules[part.name]
        mine = {key: tuple(shape) for key, shape in shapes.items() if key.startswith(part.prefix)}
        live = {f"{part.name}.{name}": tuple(tensor.shape) for name, tensor in module.state_dict().items()}

        def convert(tags: dict[str, Any], part: Part = part, module: Any = module) -> dict[str, Any]:
            return {f"{part.name}.{name}": tensor for name, tensor in part.convert(tags, module).items()}

        table = derive_table(mine, convert, live)
        rows |= table.sources
        unfed += table.unfed
    ordered = {key: rows[key] for key in shapes if key in rows}
    unmapped = tuple(key for key in shapes if key not in rows and architecture.component_of(key) is not None)
    return LiveTable(ordered, unmapped, tuple(unfed))


def load_model(checkpoint: Checkpoint, device: torch.device, dtypes: Mapping[str, torch.dtype]) -> LoadedModel:
    """Read a checkpoint into modules.

    Args:
        checkpoint: A ``.safetensors`` file in LDM layout.
        device: Where the modules go.
        dtypes: Dtype per component.

    Raises:
        CheckpointError: Missing, broken, or lacking tensors.
        HostError: An architecture that this host cannot run.
    """
    header = read_header(checkpoint.path)
    stamp = file_stamp(checkpoint.path)
    architecture = architecture_of(header)
    if architecture.id not in PARTS:
        raise HostError(
            f"{checkpoint.path.name} is {architecture.title}, which the standalone host cannot run; choose a Stable "
            "Diffusion 1.x or XL checkpoint."
        )
    shapes = _shapes(header)
    modules = skeleton({key: info.shape for key, info in header.tensors.items()}, architecture.id)
    table = live_table(shapes, architecture, modules)
    if table.unfed:
        raise CheckpointError(
            f"{checkpoint.path.name} lacks {len(table.unfed)} tensors that its architecture needs, such as "
            f"{table.unfed[0]}; get the full checkpoint."
        )
    _fill(modules, checkpoint.path, architecture, device, dtypes)
    others = tuple(k for k in header.tensors if k not in shapes and architecture.component_of(k) is not None)
    table = LiveTable(table.sources, table.unmapped + others, ())
    return LoadedModel(
        checkpoint, stamp, architecture, modules, table,
        prediction="v_prediction" if "v_pred" in header.tensors else "epsilon",
        zero_terminal_snr="ztsnr" in header.tensors,
    )  # fmt: skip


def _shapes(header: CheckpointHeader) -> dict[str, tuple[int, ...]]:
    return {key: info.shape for key, info in header.tensors.items() if info.dtype in _FLOATING}


def _fill(
    modules: Mapping[str, Any],
    path: Path,
    architecture: Architecture,
    device: torch.device,
    dtypes: Mapping[str, torch.dtype],
) -> None:
    import torch
    from safetensors import safe_open

    with safe_open(str(path), framework="pt", device="cpu") as file, torch.no_grad():
        names = list(file.keys())
        for part in PARTS[architecture.id]:
            module = modules[part.name]
            wanted = set(module.state_dict())
            tensors = {key: file.get_tensor(key) for key in names if key.startswith(part.prefix)}
            converted = part.convert(tensors, module)
            # Own memory, not the mapped file's: the file may be replaced while the model is in use.
            state = {
                name: tensor.to(device=device, dtype=dtypes[part.component], copy=True).contiguous()
                for name, tensor in converted.items()
                if name in wanted
            }
            module.load_state_dict(state, strict=True, assign=True)
            for name, buffer in list(module.named_buffers()):
                if buffer.is_meta:  # position_ids of CLIP: a constant that no state dict holds
                    owner, _, leaf = name.rpartition(".")
                    positions = torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
                    setattr(module.get_submodule(owner), leaf, positions)
            module.requires_grad_(False)
