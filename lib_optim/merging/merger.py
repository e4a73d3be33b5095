"""The merger: opened once per run on the model files, then asked for one merge after another."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.merging.compose import row_of, ways_of
from lib_optim.merging.constants import Constants, free_memory
from lib_optim.merging.engine import Engine, Tables
from lib_optim.merging.keys import shared_keys
from lib_optim.merging.lora_recipe import lora_routes
from lib_optim.merging.lora_source import open_source
from lib_optim.merging.recipe import Recipe, block_values, recipe_of
from lib_optim.merging.sinks import MergeReport, PlacedSink, WeightSink
from lib_optim.merging.sources import Source
from lib_optim.merging.ways import Way, way_spaces
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Value
from lib_optim.plan.dimensions import METHOD
from lib_optim.plan.errors import MergeError
from lib_optim.plan.header import CheckpointHeader
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.space import Space

if TYPE_CHECKING:
    import torch

__all__ = ["MergeReport", "Merger", "Recipe", "WeightSink"]


class Merger:
    """Merges one set of models, again and again.

    Reads the models' files through memory maps and never changes them; computes in fp32 whatever they store; needs
    memory for a few tensors, not for a model. Its methods may be called from any thread, one at a time.

    Args:
        method: From `merge_methods`.
        models: ``.safetensors`` files, the base (A) first.
        architecture: Of all of them.
        blocks: Its block map.
        space: What is merged, and which values will come.
        seed: For methods that draw random numbers, 0 to 2**32 - 1.
        device: Where to compute. Another device may round differently and draws other random numbers, so that one
            run stays on one device.
        precision: ``fp16``, ``bf16`` or ``fp32``: results are rounded to it before they are handed out. Give the
            dtype in which the winner will be saved: only then a host that keeps weights in fp32 shows the very
            images that the saved file will give.
        memory: Most bytes of RAM for what is computed once and kept (see `lib_optim.merging.expression`); half of what
            is free if None.

    Attributes:
        missing: File name of a model to the keys (sd-mecha's names) that it lacks and that are therefore not merged.
        device: Where it computes.
        slow: Empty, or why `sd_mecha.merge` does the work (on the CPU), as a sentence for the user.

    Raises:
        CheckpointError: A file is missing, truncated or cannot be read.
        MergeError: The method does not take so many models, sd-mecha does not know the architecture, tensors of
            different shapes, or nothing to merge.
    """

    def __init__(  # noqa: PLR0913 - a merge is made of all these
        self,
        method: MergeMethod,
        models: Sequence[Path],
        architecture: Architecture,
        blocks: BlockMap,
        space: Space,
        seed: int,
        *,
        device: str = "cpu",
        precision: str = "fp32",
        memory: int | None = None,
    ) -> None:
        if architecture.mecha_config is None:
            raise MergeError(f"{architecture.title} models cannot be merged: sd-mecha does not know their layout.")
        self.method, self.space, self.blocks, self.seed, self.device = method, space, blocks, seed, device
        self.architecture = architecture
        self._config = architecture.mecha_config
        rows = {name: row_of(way) for name, way in ways_of(method).items()}
        self._sources: list[Source] = []
        try:
            for path in models:
                self._sources.append(open_source(path, self._config, self._sources[0] if self._sources else None))
            shared = shared_keys(
                self._sources, blocks, space.merged_blocks, space.base_blocks, next(iter(rows.values())).keys
            )
        except BaseException:
            self.close()
            raise
        self.missing = shared.missing
        # From here on `key` is sd-mecha's name of a tensor, `name` the one in A's file.
        self._names, self._blocks_of_keys = shared.names, shared.blocks
        room = free_memory() // 2 if memory is None else memory
        self._ways = {
            name: Way(row, own, Engine(
                row, self._sources, self._config, self._names, self._blocks_of_keys, own, seed,
                device=device, precision=precision, memory=room // len(rows),
            ))
            for (name, row), own in zip(rows.items(), way_spaces(space, method), strict=True)
        }  # fmt: skip
        self._engine = next(iter(self._ways.values())).engine
        self.slow = next((way.engine.slow for way in self._ways.values() if way.engine.slow), "")
        self._last: tuple[weakref.ref[WeightSink], Way, Tables] | None = None

    @property
    def models(self) -> tuple[Path, ...]:
        """The model files, A first."""
        return tuple(source.path for source in self._sources)

    @property
    def headers(self) -> tuple[CheckpointHeader, ...]:
        """The headers of `models`, as they were at opening."""
        return tuple(source.header for source in self._sources)

    @property
    def base_header(self) -> CheckpointHeader:
        """The header of the base's file."""
        return self._sources[0].header

    @property
    def constants(self) -> Constants:
        """What is computed once and kept; of several methods, the first one's."""
        return self._engine.constants

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that will be written, as they are called in the base's file, in its order."""
        return tuple(self._names.values())

    def recipe(self, values: Mapping[str, Value]) -> Recipe:
        """Return the recipe of one point of the space.

        Raises:
            PlanError: `values` do not fit the space.
        """
        way, assignment = self._way(values), self.assignment(values)
        loras = lora_routes(self._sources)
        return recipe_of(way.row, self.models, self._config, assignment, self._blocks_of_keys, self.seed, loras)

    def assignment(self, values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
        """Return ``{method parameter: {block: value}}`` of one point of the space, for the method that it takes.

        Raises:
            PlanError: `values` do not fit the space.
        """
        way = self._way(values)
        assigned = self.space.assign(values)  # looks at every value, also of what is not chosen
        return assigned if way.space is self.space else way.assignment(values)

    def method_of(self, values: Mapping[str, Value]) -> MergeMethod:
        """Return the merge method of one point of the space."""
        return self._way(values).row.method

    def write(
        self, values: Mapping[str, Value], live: WeightSink, cancelled: Callable[[], bool] | None = None
    ) -> MergeReport:
        """Merge and write tensor by tensor.

        Args:
            values: One value per parameter of the space.
            live: Takes the tensors. If this raises half-way, some keys are written and others are not.
            cancelled: Asked before every tensor.

        Raises:
            PlanError: `values` do not fit the space.
            MergeError: A result is not finite (nothing of that tensor is written), or the sink refused it.
            CheckpointError: A model's file changed, or holds NaN or infinity.
            Interrupted: `cancelled` said so.
        """
        started = time.perf_counter()
        able = set(live.keys())
        way, tables = self._way(values), self._tables(values)
        kept = self._kept(way, tables, live)
        keys = [key for key, name in self._names.items() if name in able and key not in kept]
        written: list[str] = []
        self._last = None
        if isinstance(live, PlacedSink):
            way.engine.write_in_place(tables, keys, live, cancelled, written)
        else:
            for name, tensor in way.engine.stream(tables, keys, cancelled):
                live.write(name, tensor)
                written.append(name)
        self._last = (weakref.ref(live), way, tables)
        tensors = self._sources[0].header.tensors
        mine = set(self._names.values())
        return MergeReport(
            tuple(written),
            tuple(name for name in tensors if name not in mine),
            tuple(name for name in self._names.values() if name not in able),
            dict(live.digests()),
            time.perf_counter() - started,
            sum(tensors[name].nbytes for name in written),
            self.slow,
            tuple(self._names[key] for key in self._names if key in kept),
        )

    def tensors(
        self, values: Mapping[str, Value], cancelled: Callable[[], bool] | None = None
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield what `write` writes: every key of `keys`, and its merged tensor in fp32.

        The memory of a tensor is used again for the next one: copy what is to be kept. Raises as `write`.
        """
        return self._way(values).engine.stream(self._tables(values), list(self._names), cancelled)

    def base_tensor(self, name: str) -> torch.Tensor:
        """Return a tensor of the base's file as stored; never write to it."""
        return self._sources[0].stored(name)

    @property
    def resident_bytes(self) -> int:
        """How much of the memory of another device than the CPU is kept."""
        engines = [way.engine for way in self._ways.values()]
        return 0 if self.device == "cpu" else sum(e.residents.bytes + e.constants.bytes for e in engines)

    def give_memory(self, size: int) -> None:
        """Let it keep models and constants on its device, up to `size` bytes. Only where that is not the CPU."""
        for way in self._ways.values() if self.device != "cpu" else ():
            way.engine.give_memory(size // len(self._ways))

    def rest(self) -> None:
        """Let go of the files and of all that is kept in memory, until the next merge.

        On another device than the CPU nothing is kept after this, until `give_memory`.
        """
        self._last = None
        for way in self._ways.values():
            way.engine.rest()
        self.close()

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        for source in self._sources:
            source.close()

    def _tables(self, values: Mapping[str, Value]) -> Tables:
        """Return every block's value of every parameter, and look whether the files are still what they were."""
        assignment = self.assignment(values)
        for source in self._sources:
            source.check_unchanged()
        blocks = set(self._blocks_of_keys.values())
        return Tables(assignment, block_values(self._way(values).row.method, assignment, blocks))

    def _way(self, values: Mapping[str, Value]) -> Way:
        """Return the method that `values` take; the first where they name none, which `assign` refuses."""
        found = self._ways.get(str(values.get(METHOD))) if self.method.choices else None
        return found or next(iter(self._ways.values()))

    def _kept(self, way: Way, tables: Tables, live: WeightSink) -> set[str]:
        """Return the keys that need no merging: `live` holds the result."""
        known = self._last is not None and self._last[0]() is live and self._last[1] is way
        last = self._last[2] if self._last is not None and known else None
        same = {block for block, table in tables.blocks.items() if last is not None and last.blocks[block] == table}
        kept = {key for key, block in self._blocks_of_keys.items() if block in same}
        if isinstance(live, PlacedSink):
            kept |= {key for key, name in self._names.items() if live.is_original(name) and way.engine.equal(key)}
        return kept
