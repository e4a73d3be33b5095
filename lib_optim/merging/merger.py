"""The merger: opened once per run on the model files, then asked for one merge after another."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lib_optim.merging.executor import CompiledRecipe, Program, compile_recipe
from lib_optim.merging.fallback import merged_by_sd_mecha
from lib_optim.merging.keys import shared_keys
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.methods import method_row
from lib_optim.merging.recipe import Recipe, build_recipe, recipe_of
from lib_optim.merging.selfcheck import disagreement
from lib_optim.merging.sources import Source, all_finite
from lib_optim.plan.architectures import Architecture
from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import Interrupted, MergeError, OptimError
from lib_optim.plan.header import CheckpointHeader
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.space import Space

if TYPE_CHECKING:
    import torch

__all__ = ["MergeReport", "Merger", "Recipe", "WeightSink"]

_log = logging.getLogger(__name__)


class WeightSink(Protocol):
    """Where a merge goes. `hosts.base.LiveWeights` is one."""

    def keys(self) -> Iterable[str]:
        """Return the checkpoint keys that can be written."""

    def write(self, key: str, tensor: torch.Tensor) -> None:
        """Take the value of `key`; the memory of `tensor` is used again after the call."""

    def digests(self) -> Mapping[str, int]:
        """Return one digest per key written, of what it holds now."""


@dataclass(frozen=True)
class MergeReport:
    """What a merge did; every key of the base's file is in exactly one of the first three.

    Attributes:
        written: Keys that were merged and written.
        base: Keys that were left alone, so that they keep the base's value: outside the guide, not floating, or
            missing in another model.
        refused: Merged keys that the sink does not have; nothing was written for them.
        digests: The sink's digest per written key.
        seconds: Wall time.
        bytes: Size of the written tensors as stored in the base's file.
        slow: Empty, or why `sd_mecha.merge` did the work instead of the compiled recipe.
    """

    written: tuple[str, ...]
    base: tuple[str, ...]
    refused: tuple[str, ...]
    digests: Mapping[str, int]
    seconds: float
    bytes: int
    slow: str = ""


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

    Attributes:
        missing: File name of a model to the keys (sd-mecha's names) that it lacks and that are therefore not merged.
        slow: Empty, or why `sd_mecha.merge` does the work (on the CPU), as a sentence for the user.

    Raises:
        CheckpointError: A file is missing, truncated or cannot be read.
        MergeError: The method does not take so many models, sd-mecha does not know the architecture, tensors of
            different shapes, or nothing to merge.
    """

    def __init__(
        self,
        method: MergeMethod,
        models: Sequence[Path],
        architecture: Architecture,
        blocks: BlockMap,
        space: Space,
        seed: int,
        device: str = "cpu",
        precision: str = "fp32",
    ) -> None:
        import torch

        if architecture.mecha_config is None:
            raise MergeError(f"{architecture.title} models cannot be merged: sd-mecha does not know their layout.")
        self.method, self.space, self.blocks, self.seed = method, space, blocks, seed
        self.architecture = architecture
        self._config = architecture.mecha_config
        self._precision = precision
        self._row = method_row(method.id)
        self._sources: list[Source] = []
        try:
            for path in models:
                self._sources.append(Source(path, self._config))
            shared = shared_keys(self._sources, blocks, space.merged_blocks)
        except BaseException:
            self.close()
            raise
        self.missing = shared.missing
        # From here on `key` is sd-mecha's name of a tensor, `name` the one in A's file.
        self._names, self._blocks_of_keys = shared.names, shared.blocks
        self._program = Program(self._load, torch.device(device))
        self._compiled, self.slow = self._compile()

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
    def keys(self) -> tuple[str, ...]:
        """The keys that will be written, as they are called in the base's file, in its order."""
        return tuple(self._names.values())

    def recipe(self, values: Mapping[str, Value]) -> Recipe:
        """Return the recipe of one point of the space.

        Raises:
            PlanError: `values` do not fit the space.
        """
        assignment = self.space.assign(values)
        return recipe_of(self._row, self.models, self._config, assignment, self._blocks_of_keys, self.seed)

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
        written, size = [], 0
        tensors = self._sources[0].header.tensors
        for name, tensor in self._stream(values, able, cancelled):
            live.write(name, tensor)
            written.append(name)
            size += tensors[name].nbytes
        mine = set(self._names.values())
        return MergeReport(
            tuple(written),
            tuple(name for name in tensors if name not in mine),
            tuple(name for name in self._names.values() if name not in able),
            dict(live.digests()),
            time.perf_counter() - started,
            size,
            self.slow,
        )

    def tensors(
        self, values: Mapping[str, Value], cancelled: Callable[[], bool] | None = None
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield what `write` writes: every key of `keys`, and its merged tensor in fp32.

        The memory of a tensor is used again for the next one: copy what is to be kept. Raises as `write`.
        """
        return self._stream(values, None, cancelled)

    def base_tensor(self, name: str) -> torch.Tensor:
        """Return a tensor of the base's file as stored; never write to it."""
        return self._sources[0].stored(name)

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        for source in self._sources:
            source.close()

    def _stream(
        self, values: Mapping[str, Value], able: set[str] | None, cancelled: Callable[[], bool] | None
    ) -> Iterator[tuple[str, torch.Tensor]]:
        assignment = self.space.assign(values)
        for source in self._sources:
            source.check_unchanged()
        tables = {
            block: {p.name: assignment[p.name][block] for p in self.method.parameters}
            for block in set(self._blocks_of_keys.values())
        }
        keys = [key for key, name in self._names.items() if able is None or name in able]
        if self._compiled is None:
            results = self._merge_slowly(assignment, keys)
        else:
            results = ((key, self._run(self._compiled, key, tables[self._blocks_of_keys[key]])) for key in keys)
        while True:
            if cancelled is not None and cancelled():
                raise Interrupted("The merge was cancelled.")
            item = next(results, None)
            if item is None:
                return
            yield self._names[item[0]], self._checked(*item)

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
            grouped.setdefault(self._blocks_of_keys[key], []).append(key)
        for block, members in grouped.items():
            try:
                merged = merged_by_sd_mecha(
                    self._row, self.models, self._config, assignment, dict.fromkeys(members, block), self.seed
                )
            except Exception as error:
                raise self._failed(members[0], _words(error)) from error
            for key in members:
                if key not in merged:
                    raise self._failed(key, "sd-mecha gave no result for it")
                yield key, merged.pop(key)

    def _checked(self, key: str, tensor: Any) -> torch.Tensor:
        """Return a result in the shape of the base's tensor, known to be finite."""
        shape = self._sources[0].shape(key)
        if tuple(tensor.shape) != shape:
            if tensor.numel() != self._sources[0].view(key).numel():
                raise self._failed(key, f"the result has the shape {tuple(tensor.shape)} instead of {shape}")
            tensor = tensor.reshape(shape)  # some methods make a row of one from a single number
        if not all_finite(tensor):
            raise self._failed(key, "the result holds NaN or infinity; narrow the bounds or choose another method")
        if self._precision == "fp32":
            return tensor
        rounded = tensor.to(_torch_dtype(self._precision)).to(tensor.dtype)
        if not all_finite(rounded):
            raise self._failed(key, f"the result is too large for {self._precision}; save in another precision")
        return rounded

    def _failed(self, key: str, reason: str) -> MergeError:
        name = self._sources[0].names[key]
        return MergeError(f"{self.method.title} failed in block {self._blocks_of_keys[key]} at '{name}': {reason}.")

    def _load(self, model: int, key: str) -> torch.Tensor:
        return self._sources[model].finite_view(key)

    def _compile(self) -> tuple[CompiledRecipe | None, str]:
        nodes = sd_mecha().recipe_nodes
        models = [nodes.ClosedModelRecipeNode(path, self._config, "weight") for path in self.models]
        parameters = {p.name: nodes.LiteralRecipeNode({}, self._config, "param") for p in self.method.parameters}
        recipe = build_recipe(self._row, models, parameters, self.seed)
        try:
            compiled = compile_recipe(recipe, models, parameters)
        except (TypeError, AttributeError, KeyError, ValueError, ImportError) as error:
            reason: str | None = f"{type(error).__name__}: {error}"
        else:
            reason = disagreement(self._row, compiled, len(models), self.seed)
            if reason is None:
                return compiled, ""
        slow = f"Optim's fast merge does not fit the sd-mecha that is installed ({reason}), so merging takes seconds."
        _log.warning(slow)
        return None, slow


def _torch_dtype(precision: str) -> torch.dtype:
    import torch

    return {"fp16": torch.float16, "bf16": torch.bfloat16}[precision]


def _words(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__).rstrip(".")
