"""Computes the tensors of one recipe: in place where that can be, else tensor by tensor."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lib_optim.merging.adjusting import adjusted_steps, plain_parameters
from lib_optim.merging.bits import has_negative_zero, same_bits
from lib_optim.merging.constants import Constants, free_memory
from lib_optim.merging.direct import Direct, Piece, Tensors, searched_by_block
from lib_optim.merging.executor import CompiledRecipe, Program, compile_recipe
from lib_optim.merging.fallback import merged_by_sd_mecha
from lib_optim.merging.lora_source import LoraSource
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.methods import MethodRow
from lib_optim.merging.recipe import build_recipe
from lib_optim.merging.residents import Residents
from lib_optim.merging.results import PRECISIONS, Results, torch_dtype
from lib_optim.merging.selfcheck import disagreement
from lib_optim.merging.sinks import PlacedSink
from lib_optim.merging.sources import Source, largest_of
from lib_optim.merging.threads import in_threads
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import Interrupted, MergeError, OptimError
from lib_optim.plan.space import Space

if TYPE_CHECKING:
    import torch

__all__ = ["Engine", "Tables"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tables:
    """The values of one trial: as `Space.assign` gives them, and by block."""

    assignment: Mapping[str, Mapping[str, Value]]
    blocks: Mapping[str, Mapping[str, Value]]


class Engine:
    """One recipe on its models. Keys are sd-mecha's names.

    Args:
        row: The merge method.
        sources: The models, A first; closed by who opened them.
        config: sd-mecha's name of the architecture.
        names: Keys to merge, to their names in A's file.
        blocks: Their blocks.
        space: Which values will come.
        seed: For stochastic methods.
        device: Where to compute.
        precision: What results are rounded to.
        memory: Most bytes for constants; half of what is free if None.

    Attributes:
        constants: What is computed once and kept.
        residents: The models' tensors on `device`.
        slow: As `Merger.slow`.
    """

    def __init__(  # noqa: PLR0913 - all that a merge is made of
        self,
        row: MethodRow,
        sources: Sequence[Source],
        config: str,
        names: Mapping[str, str],
        blocks: Mapping[str, str],
        space: Space,
        seed: int,
        *,
        device: str,
        precision: str,
        memory: int | None,
    ) -> None:
        import torch

        self._row, self._sources, self._config, self._names, self._blocks = row, sources, config, names, blocks
        self._paths = [source.path for source in sources]
        self._space, self._seed, self._precision = space, seed, precision
        self._results = Results(precision, sources[0].shape, self._failed)
        self._device = torch.empty(0, device=device).device  # with its number, as tensors name it
        self._program = Program(self._load, self._device)
        self._largest: dict[tuple[int, str], float] = {}
        self.residents = Residents(self._device, lambda: self.constants.bytes)
        room = free_memory() // 2 if memory is None else memory
        # In the memory of another device there is room when the host has made an image and says so: `give_memory`.
        self.constants = Constants(0 if self.residents.away else room, lambda: self.residents.bytes)
        self.residents.locked_budget = room if self._device.type == "cuda" else 0
        self._searched = searched_by_block(space)
        self._direct: Direct | None = None
        self._adjusted: dict[str, CompiledRecipe] = {}
        self._staging: torch.Tensor | None = None
        self._equals: dict[str, bool] = {}
        self._compiled, self.slow = self._compile()

    def give_memory(self, size: int) -> None:
        """Keep as much as `size` bytes on the device that computes, from the next merge on."""
        self.constants.drop()  # with it, what found no room before
        self.constants.budget = self.residents.budget = size

    def rest(self) -> None:
        """Keep nothing in memory until the next merge, and on another device than the CPU nothing from now on."""
        self.constants.drop()
        self.residents.drop()
        if self.residents.away:
            self.constants.budget = 0

    def stream(
        self, tables: Tables, keys: Sequence[str], cancelled: Callable[[], bool] | None
    ) -> Iterator[tuple[str, torch.Tensor]]:
        for key, result in self._stream(tables, keys, cancelled):
            yield self._names[key], self._results.checked(key, result)

    def _stream(
        self, tables: Tables, keys: Sequence[str], cancelled: Callable[[], bool] | None
    ) -> Iterator[tuple[str, Any]]:
        if self._compiled is None:
            results = self._merge_slowly(tables.assignment, keys)
        else:
            results = ((key, self._merged(self._compiled, key, tables)) for key in keys)
        while True:
            _stop_if(cancelled)
            item = next(results, None)
            if item is None:
                return
            yield item

    def _merged(self, compiled: CompiledRecipe, key: str, tables: Tables) -> Any:
        import torch

        piece = self._piece(key, tables)
        if piece is None or not piece.fits(torch.float32):
            return self._run(self._adjusted.get(key, compiled), key, tables.blocks[self._blocks[key]])
        size = self._sources[0].view(key).numel()
        if self._staging is None or self._staging.numel() < size:
            with torch.inference_mode(False):
                self._staging = torch.empty(size, dtype=torch.float32, device=self._device)
        target = self._staging[:size]
        with torch.no_grad():
            self._fill(piece, target, torch.float32)
        return target.view(self._sources[0].shape(key))

    def write_in_place(
        self,
        tables: Tables,
        keys: Sequence[str],
        live: PlacedSink,
        cancelled: Callable[[], bool] | None,
        written: list[str],
    ) -> None:
        """Write into the sink's memory; append the names to `written`.

        What is linear is computed straight into it. That a result is finite follows there from the models' largest
        values, so that no pass over it is needed.
        """
        rest: list[str] = []
        rounded = torch_dtype(self._precision)

        def work() -> Iterator[Callable[[], None]]:
            for key in keys:
                _stop_if(cancelled)
                piece = self._piece(key, tables)
                place = None if piece is None else live.place(self._names[key])
                if piece is None or place is None or not self._can_fill(place, piece):
                    rest.append(key)
                    continue
                written.append(self._names[key])
                task = functools.partial(self._fill, piece, place, rounded)
                if place.numel() >= _WORTH_A_THREAD:
                    yield task
                else:
                    with live.guard():
                        task()

        in_threads(work(), live.guard)
        for key, result in self._stream(tables, rest, cancelled):
            self._results.put(key, self._names[key], result, live)
            written.append(self._names[key])

    def _can_fill(self, place: torch.Tensor, piece: Piece) -> bool:
        able = place.dtype in map(torch_dtype, PRECISIONS)
        return able and piece.fits(place.dtype, torch_dtype(self._precision))

    def _fill(self, piece: Piece, place: torch.Tensor, rounded: torch.dtype) -> None:
        assert self._direct is not None
        if place.device == self._device:
            self._direct.compute(piece, place, rounded)
        else:  # rounded here already: half as many bytes to send to the other device
            aside = self._direct.aside(place.numel(), place.dtype)
            self._direct.compute(piece, aside, rounded)
            place.copy_(aside.view(place.shape))

    def _piece(self, key: str, tables: Tables) -> Piece | None:
        if self._direct is None or key in self._adjusted:
            return None
        block = self._blocks[key]
        try:
            return self._direct.piece(key, tables.blocks[block], self._searched.get(block, frozenset()))
        except OptimError:
            raise
        except Exception as error:  # a constant is a method's work, which is somebody else's code
            raise self._failed(key, _words(error)) from error

    def equal(self, key: str) -> bool:
        """Whether all models hold the same tensor, and the method gives it back with the bits of the base's file."""
        if key not in self._equals:
            searched = self._searched.get(self._blocks[key], frozenset())
            first, *others = (source.view(key) for source in self._sources)
            self._equals[key] = (
                self._direct is not None
                and key not in self._adjusted
                and self._direct.keeps_equals(searched)
                and all(same_bits(other, first) for other in others)
                and same_bits(first.to(torch_dtype(self._precision)).to(first.dtype), first)
                and not has_negative_zero(first)  # −0 + 0·(b − a) is 0, or −0 again: that depends on the weight
            )
        return self._equals[key]

    def _run(self, compiled: CompiledRecipe, key: str, table: Mapping[str, Value]) -> Any:
        try:
            return compiled.run(key, table, self._program)
        except OptimError:
            raise
        except Exception as error:  # a method is somebody else's code, and may raise anything
            raise self._failed(key, _words(error)) from error

    def _merge_slowly(self, assignment: Mapping[str, Mapping[str, Value]], keys: Sequence[str]) -> Iterator[Any]:
        """One call of sd_mecha.merge per block, so that memory holds one block and not a model."""
        grouped: dict[str, list[str]] = {}
        for key in keys:
            for source in self._sources:
                source.finite_view(key)
            grouped.setdefault(self._blocks[key], []).append(key)
        for block, members in grouped.items():
            loras = [source if isinstance(source, LoraSource) else None for source in self._sources]
            models = [
                (lora and {key: lora.view(key) for key in members}) or path
                for lora, path in zip(loras, self._paths, strict=True)
            ]
            try:
                merged = merged_by_sd_mecha(
                    self._row, models, self._config, assignment, dict.fromkeys(members, block), self._seed
                )
            except Exception as error:
                raise self._failed(members[0], _words(error)) from error
            for key in members:
                if key not in merged:
                    raise self._failed(key, "sd-mecha gave no result for it")
                yield key, merged.pop(key)

    def _failed(self, key: str, reason: str) -> MergeError:
        name = self._sources[0].names[key]
        return MergeError(f"{self._row.method.title} failed in block {self._blocks[key]} at '{name}': {reason}.")

    def _load(self, model: int, key: str) -> torch.Tensor:
        """Return a stored tensor on the device that computes, looked through once for NaN and infinity."""
        if not math.isfinite(self._size(model, key)):
            self._sources[model].finite_view(key)  # says which, and where
        return self.residents.get(model, key, self._stored(model, key))

    def _stored(self, model: int, key: str) -> torch.Tensor:
        return self._sources[model].view(key)

    def _size(self, model: int, key: str) -> float:
        place = (model, key)
        if place not in self._largest:
            self._largest[place] = largest_of(self._sources[model].view(key))
        return self._largest[place]

    def _compile(self) -> tuple[CompiledRecipe | None, str]:
        nodes = sd_mecha().recipe_nodes
        models = [nodes.ClosedModelRecipeNode(path, self._config, "weight") for path in self._paths]
        parameters = {p.name: nodes.LiteralRecipeNode({}, self._config, "param") for p in self._row.method.parameters}
        row = self._row.inner or self._row
        plain = plain_parameters(self._row, parameters)
        recipe = build_recipe(row, models, plain, self._seed)

        def direct_of(tensors: Tensors) -> Direct:
            methods = Program(tensors.load, self._device)
            return Direct(recipe, models, plain, tensors, methods, self.constants, self._device)

        try:
            compiled = compile_recipe(recipe, models, plain)
            alone = {key: block in self._space.base_blocks for key, block in self._blocks.items()}
            self._adjusted = adjusted_steps(self._row, models, parameters, alone, self._seed)
        except (TypeError, AttributeError, KeyError, ValueError, ImportError) as error:
            reason: str | None = f"{type(error).__name__}: {error}"
        else:
            reason = disagreement(row, compiled, direct_of, len(models), self._seed, self._device)
            self.constants.drop()
            if reason is None:
                self._direct = direct_of(Tensors(self._stored, self._load, self._size))
                return compiled, ""
        slow = f"Optim's fast merge does not fit the sd-mecha that is installed ({reason}), so merging takes seconds."
        _log.warning(slow)
        return None, slow


_WORTH_A_THREAD = 1 << 16  # elements; handing over less takes longer than the work


def _stop_if(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Interrupted("The merge was cancelled.")


def _words(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__).rstrip(".")
