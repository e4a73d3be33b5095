"""Statements 1 to 7: writing, refusing, restoring."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.selftest.mutations.common import restore_skipped_by
from tests.selftest.mutations.registry import Patch, breaks


@breaks(1, hosts=("a1111", "forge"))
def opening_touches_a_weight(patch: Patch) -> None:
    from lib_optim.hosts.live import TableSession

    original = TableSession.live_weights

    @contextlib.contextmanager
    def dirty(self: Any) -> Any:
        with original(self) as live:
            key = next(iter(live.keys()))
            tensor = self._model.tensor(self._table.sources[key].targets[0].name)
            tensor.data.view(-1)[0] += 0.01
            yield live

    patch.setattr(TableSession, "live_weights", dirty)


@breaks(2, hosts=("standalone", "forge"))
def restore_skipped(patch: Patch) -> None:
    restore_skipped_by(patch)


@breaks(7, "mid-write", hosts=("forge",))
@breaks(7, "mid-generation", hosts=("standalone", "a1111"))
def restore_skipped_after_an_exception(patch: Patch) -> None:
    from lib_optim.hosts.live import TableSession

    @contextlib.contextmanager
    def careless(self: Any) -> Any:
        self._model.prepare()
        from lib_optim.hosts.live import TableWeights

        weights = TableWeights(self._table, self._model, self._component_of, self._originals.capture)
        yield weights
        self._put_back(weights)  # not in a finally

    patch.setattr(TableSession, "live_weights", careless)


@breaks(7, "mid-scoring")
def failed_scores_are_ignored(patch: Patch) -> None:
    from lib_optim.scoring.worker import ScoringWorker

    original = ScoringWorker.__init__

    def init(self: Any, specs: Any, models_dir: Any, on_score: Any, on_error: Any, *more: Any, **named: Any) -> None:
        del on_error
        zero = lambda trial, error: on_score(trial, 0, "technical", 0.0)  # noqa: E731
        original(self, specs, models_dir, on_score, zero, *more, **named)

    patch.setattr(ScoringWorker, "__init__", init)


@breaks(3, hosts=("standalone", "a1111"))
@breaks(4, "without a LoRA", hosts=("forge",))
def some_keys_are_not_written(patch: Patch) -> None:
    from lib_optim.hosts.live import TableWeights

    original = TableWeights.put

    def put(self: Any, key: str, tensor: Any) -> None:
        if "middle_block.1" not in key:
            original(self, key, tensor)

    patch.setattr(TableWeights, "put", put)


@breaks(3, hosts=("forge",))
def written_under_no_grad(patch: Patch) -> None:
    import torch

    from lib_optim.hosts.live import TableWeights

    def put(self: Any, key: str, tensor: Any) -> None:
        source = self._source(key)
        self._written[key] = None
        self._model.wrote(self._component_of(key) or "")
        with torch.no_grad():
            for target in source.targets:
                self._live(target).copy_(target.transform.apply(tensor))

    patch.setattr(TableWeights, "put", put)


@breaks(4, "with a LoRA", hosts=("forge",))
@breaks(10, hosts=("forge",))
def unbaked_without_unload(patch: Patch) -> None:
    from backend import memory_management

    patch.setattr(memory_management, "unload_model_clones", lambda patcher: None)


@breaks(5, hosts=("forge",))
def unmapped_keys_are_ignored(patch: Patch) -> None:
    _without_keys(patch, lambda key: ".attn1.to_q." in key)


@breaks(5, hosts=("a1111",))
def two_keys_share_a_tensor(patch: Patch) -> None:
    from lib_optim.hosts.live import TableSession

    original = TableSession.__init__

    def init(self: Any, model: Any, table: Any, *more: Any) -> None:
        left, right = (
            [key for key in table.sources if key.endswith("middle_block.0.in_layers.0.weight")],
            [key for key in table.sources if key.endswith("middle_block.2.in_layers.0.weight")],
        )
        table.sources[left[0]] = table.sources[right[0]]
        original(self, model, table, *more)

    patch.setattr(TableSession, "__init__", init)


def _without_keys(patch: Patch, gone: Callable[[str], bool]) -> None:
    from lib_optim.hosts.live import TableSession

    original = TableSession.__init__

    def init(self: Any, model: Any, table: Any, *more: Any) -> None:
        for key in [key for key in table.sources if gone(key)]:
            del table.sources[key]
        original(self, model, table, *more)

    patch.setattr(TableSession, "__init__", init)


@breaks(6, hosts=("forge",))
def non_finite_values_are_accepted(patch: Patch) -> None:
    from lib_optim.hosts import live

    patch.setattr(live, "_storable", lambda key, tensor, dtype: tensor)


@breaks(6)
def refused_after_the_write(patch: Patch) -> None:
    from lib_optim.hosts import live

    original, check = live.TableWeights.write, live._storable

    def write(self: Any, key: str, tensor: Any) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(live, "_storable", lambda key, tensor, dtype: tensor)
            original(self, key, tensor)
        check(key, tensor, self.dtype_of(key))

    patch.setattr(live.TableWeights, "write", write)


@breaks(7, "mid-generation")
def a_place_is_not_remembered(patch: Patch) -> None:
    from lib_optim.hosts.live import TableWeights

    original = TableWeights.place

    def place(self: Any, key: str) -> Any:
        memory = original(self, key)
        if memory is not None:
            del self._written[key]
        return memory

    patch.setattr(TableWeights, "place", place)
