"""Which live tensor holds which part of which checkpoint tensor, found out by watching the library convert tags.

Libraries rename the tensors of a checkpoint, split fused projections, transpose matrices and drop dimensions of size 1.
Instead of repeating those rules, `derive_table` hands the library's own converter a state dict in which every element
says where it comes from, and reads the answer off the result.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib_optim.plan.errors import HostError

if TYPE_CHECKING:
    import torch

__all__ = ["LiveTable", "Source", "Target", "Transform", "derive_table", "identity_table"]

_EXACT = 1 << 24  # whole numbers up to here are exact in float32


@dataclass(frozen=True)
class Transform:
    """How a live tensor is made of a checkpoint tensor: ``reshape(transpose(source[begin:end]), shape)``.

    Attributes:
        shape: Shape of the live tensor.
        source: Shape of the checkpoint tensor.
        begin: First row taken (a tensor without dimensions counts as one row).
        end: One past the last row taken.
        transposed: Whether the rows, seen as a matrix, are transposed.
    """

    shape: tuple[int, ...]
    source: tuple[int, ...]
    begin: int
    end: int
    transposed: bool = False

    @property
    def whole(self) -> bool:
        """Whether the live tensor has all elements in the checkpoint's order, so that both are views of each other."""
        return not self.transposed and self.end - self.begin == _rows(self.source)

    @property
    def identity(self) -> bool:
        """Whether nothing changes, not even the shape."""
        return self.whole and self.shape == self.source

    def apply(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the part of a checkpoint tensor that the live tensor holds, in the live shape. A view if possible."""
        if self.identity:
            return tensor
        matrix = tensor.reshape(_rows(self.source), -1)[self.begin : self.end]
        return (matrix.t() if self.transposed else matrix).reshape(self.shape)

    def undo(self, live: torch.Tensor) -> torch.Tensor:
        """Return the live tensor as rows of the checkpoint tensor: shape [end - begin, columns]. A view if possible."""
        rows = self.end - self.begin
        return live.reshape(-1, rows).t() if self.transposed else live.reshape(rows, -1)


@dataclass(frozen=True)
class Target:
    """One live tensor that a checkpoint tensor feeds."""

    name: str
    transform: Transform


@dataclass(frozen=True)
class Source:
    """One checkpoint tensor: its shape, and the live tensors it feeds (every row is in at least one of them)."""

    shape: tuple[int, ...]
    targets: tuple[Target, ...]

    def covers(self) -> tuple[tuple[Target, ...], ...]:
        """Return the targets in groups that each hold the whole tensor; several where live tensors are doubled."""
        groups: list[list[Target]] = []
        for target in sorted(self.targets, key=lambda t: t.transform.begin):
            for group in groups:
                if group[-1].transform.end == target.transform.begin:
                    group.append(target)
                    break
            else:
                groups.append([target])
        return tuple(tuple(group) for group in groups)


@dataclass(frozen=True)
class LiveTable:
    """Checkpoint keys and the live tensors they feed.

    Attributes:
        sources: One row per mapped checkpoint key, in the checkpoint's order.
        unmapped: Checkpoint keys that feed no live tensor.
        unfed: Live tensors that no checkpoint key feeds.
    """

    sources: Mapping[str, Source]
    unmapped: tuple[str, ...]
    unfed: tuple[str, ...]

    def only(self, wanted: Callable[[str], bool]) -> LiveTable:
        """Return the rows and unmapped keys that `wanted` accepts."""
        rows = {key: source for key, source in self.sources.items() if wanted(key)}
        return LiveTable(rows, tuple(key for key in self.unmapped if wanted(key)), self.unfed)

    def targets(self) -> Iterator[tuple[str, Target]]:
        """Yield every (checkpoint key, target)."""
        for key, source in self.sources.items():
            for target in source.targets:
                yield key, target


def identity_table(shapes: Mapping[str, tuple[int, ...]], live: Mapping[str, tuple[str, ...]]) -> LiveTable:
    """Return the table of a host that renames and nothing else.

    Args:
        shapes: Checkpoint key to shape.
        live: Checkpoint key to the names of its live tensors (several where a tensor is registered twice).
    """
    sources = {}
    for key, shape in shapes.items():
        as_it_is = Transform(tuple(shape), tuple(shape), 0, _rows(shape))
        if live.get(key):
            sources[key] = Source(tuple(shape), tuple(Target(name, as_it_is) for name in live[key]))
    return LiveTable(sources, tuple(key for key in shapes if not live.get(key)), ())


def derive_table(
    shapes: Mapping[str, tuple[int, ...]],
    convert: Callable[[dict[str, torch.Tensor]], Mapping[str, torch.Tensor]],
    live: Mapping[str, tuple[int, ...]],
) -> LiveTable:
    """Derive the table by running `convert` over tagged state dicts.

    Twice: elements that name their key and row, then elements that name their column. Both together name every element,
    and every element of every result is compared. Tags are expanded views, so a full-size model needs next to no memory
    but for the tensors that `convert` itself copies.

    Args:
        shapes: Checkpoint key to shape, floating tensors only.
        convert: The library's converter: a checkpoint state dict (which it may consume) to live names. Names that it
            returns and `live` lacks are ignored. It may slice, transpose, reshape and double tensors.
        live: Live name to shape.

    Raises:
        HostError: A live tensor is made in another way, has another shape than the model's, or a checkpoint tensor
            would be written in part only.
    """
    import torch

    bases, total = {}, 0
    for key, shape in shapes.items():
        bases[key] = total
        total += _rows(shape)
    if total >= _EXACT or any(_columns(shape) >= _EXACT for shape in shapes.values()):
        raise HostError(
            "The checkpoint is too large for Optim's table of live tensors; please report its architecture."
        )

    def row_tags(key: str) -> torch.Tensor:
        rows = _rows(shapes[key])
        column = torch.arange(bases[key], bases[key] + rows, dtype=torch.float32)
        return column.reshape(rows, *(1 for _ in shapes[key][1:])).expand(shapes[key]) if shapes[key] else column[0]

    def column_tags(key: str) -> torch.Tensor:
        row = torch.arange(_columns(shapes[key]), dtype=torch.float32)
        return row.reshape(1, *shapes[key][1:]).expand(shapes[key]) if shapes[key] else row[0]

    with torch.no_grad():
        tags = {key: row_tags(key) for key in shapes}
        found = _wanted(convert(dict(tags)), live)
        keys, starts = list(bases), list(bases.values())
        origin: dict[str, tuple[str, Transform]] = {}
        for name, tensor in found.items():
            first = int(tensor.reshape(-1)[0]) if tensor.numel() else -1
            key = keys[bisect.bisect_right(starts, first) - 1]
            transform = _transform(tensor, tags[key], first - bases[key])
            if transform is None:
                raise _unknown(name, key)
            origin[name] = (key, transform)
        del found, tags
        tags = {key: column_tags(key) for key in shapes}
        for name, tensor in _wanted(convert(dict(tags)), live).items():
            key, transform = origin[name]
            if not _same(tensor, tags[key], transform):
                raise _unknown(name, key)
    return _table(shapes, live, origin)


def _table(
    shapes: Mapping[str, tuple[int, ...]],
    live: Mapping[str, tuple[int, ...]],
    origin: Mapping[str, tuple[str, Transform]],
) -> LiveTable:
    targets: dict[str, list[Target]] = {}
    for name, (key, transform) in origin.items():
        targets.setdefault(key, []).append(Target(name, transform))
    sources = {key: Source(tuple(shape), tuple(targets[key])) for key, shape in shapes.items() if key in targets}
    for key, source in sources.items():
        for cover in source.covers():
            if cover[0].transform.begin != 0 or cover[-1].transform.end != _rows(source.shape):
                raise HostError(f"The model takes only a part of the tensor {key}, so it cannot be merged into.")
    unmapped = tuple(key for key in shapes if key not in targets)
    return LiveTable(sources, unmapped, tuple(name for name in live if name not in origin))


def _wanted(converted: Mapping[str, torch.Tensor], live: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    kept = {name: tensor for name, tensor in converted.items() if name in live}
    for name, tensor in kept.items():
        if tuple(tensor.shape) != tuple(live[name]):
            raise HostError(
                f"The model's tensor {name} has the shape {tuple(live[name])}, and the checkpoint's would be "
                f"{tuple(tensor.shape)}: the loaded model is not of this checkpoint's architecture."
            )
    return kept


def _transform(tensor: torch.Tensor, tags: torch.Tensor, begin: int) -> Transform | None:
    shape, source = tuple(tensor.shape), tuple(tags.shape)
    columns = _columns(source)
    if tensor.numel() % columns:
        return None
    end = begin + tensor.numel() // columns
    if end > _rows(source):
        return None
    for transposed in (False, True):
        candidate = Transform(shape, source, begin, end, transposed)
        if _same(tensor, tags, candidate):
            return candidate
    return None


def _same(tensor: torch.Tensor, tags: torch.Tensor, transform: Transform) -> bool:
    import torch

    if transform.identity and tensor.data_ptr() == tags.data_ptr() and tensor.stride() == tags.stride():
        return True  # the very tags that went in; tags are expanded, so nothing can have written into them
    return bool(torch.equal(tensor, transform.apply(tags)))


def _unknown(name: str, key: str) -> HostError:
    return HostError(f"The host makes its tensor {name} of the checkpoint's {key} in a way that Optim does not know.")


def _rows(shape: tuple[int, ...]) -> int:
    return shape[0] if shape else 1


def _columns(shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:])
