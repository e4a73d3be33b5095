"""Live weights addressed by checkpoint keys, and the session that puts them back. Shared by all hosts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lib_optim.hosts.digest import tensor_digest
from lib_optim.hosts.originals import Originals
from lib_optim.hosts.transforms import LiveTable, Source, Target
from lib_optim.plan.errors import HostChanged, HostError, MergeError, RunError
from lib_optim.plan.nearest import did_you_mean

if TYPE_CHECKING:
    import torch

__all__ = ["LiveModel", "TableSession", "TableWeights"]

_SAMPLE = 12  # tensors compared before each trial; the choice wanders, so that all have their turn
_DISAGREE = 1 << 64  # no digest is as large


class LiveModel(Protocol):
    """What a host knows about the model of one session."""

    def tensor(self, name: str) -> torch.Tensor:
        """Return the live tensor called `name`, looked up now: hosts replace parameters behind one's back.

        Raises:
            HostChanged: There is none of that name any more.
        """

    def guard(self) -> AbstractContextManager[object]:
        """Return the context in which this host's tensors may be written (`torch.no_grad`, `torch.inference_mode`)."""

    def check_same(self) -> None:
        """Raise `HostChanged` unless the loaded model is still the session's. Cheap; changes nothing."""

    def prepare(self) -> None:
        """Before a trial's first write: undo what the host has baked into its weights (LoRAs)."""

    def wrote(self, component: str) -> None:
        """Called at every write, restoring ones too: caches that depend on `component` are stale from now on."""


class TableWeights:
    """Writable live weights of one `LiveTable` (implements ``hosts.base.LiveWeights``).

    Args:
        table: Checkpoint keys to live tensors.
        model: Finds the tensors.
        component_of: Checkpoint key to component name.
        before: Called with a key before its first write; may raise, then nothing is written.
        original: Whether a key's original is the base file's value.
    """

    def __init__(
        self,
        table: LiveTable,
        model: LiveModel,
        component_of: Callable[[str], str | None],
        before: Callable[[str], None] = lambda key: None,
        original: Callable[[str], bool] = lambda key: False,
    ) -> None:
        self._table = table
        self._model = model
        self._component_of = component_of
        self._before = before
        self._original = original
        self._written: dict[str, None] = {}

    def keys(self) -> tuple[str, ...]:
        """Return the checkpoint keys that have live counterparts."""
        return tuple(self._table.sources)

    def written(self) -> tuple[str, ...]:
        """Return the keys written so far, half-written ones included."""
        return tuple(self._written)

    def shape_of(self, key: str) -> tuple[int, ...]:
        """Return the checkpoint's shape of `key`."""
        return self._source(key).shape

    def dtype_of(self, key: str) -> torch.dtype:
        """Return the dtype in which the host stores `key`."""
        return self._live(self._source(key).targets[0]).dtype

    def device_of(self, key: str) -> torch.device:
        """Return the device on which the host stores `key` now."""
        return self._live(self._source(key).targets[0]).device

    def write(self, key: str, tensor: torch.Tensor) -> None:
        """Copy `tensor` into the live tensors of `key`, casting dtype and device.

        Raises:
            MergeError: Unknown key, wrong shape, or non-finite values (also after the cast); nothing written.
            HostChanged: A live tensor has gone or has another shape; nothing written.
        """
        source = self._source(key)
        if tuple(tensor.shape) != source.shape:
            raise MergeError(
                f"{key} has the shape {source.shape}; a tensor of shape {tuple(tensor.shape)} was to be written."
            )
        live = [self._live(target) for target in source.targets]
        tensor = _storable(key, tensor, live[0].dtype)
        self._before(key)
        self.put(key, tensor)

    def place(self, key: str) -> torch.Tensor | None:
        """Return the live memory of `key` in checkpoint layout, to be written at once and under `guard`.

        Counts as written from now on. The caller sees to it that what it writes is finite.

        Returns:
            A contiguous tensor in the live dtype, or None where there is no such memory (the host splits, transposes or
            doubles the tensor): then `write` is the way.

        Raises:
            MergeError: Unknown key.
            HostChanged: As `write`.
        """
        source = self._source(key)
        live = self._live(source.targets[0])
        if len(source.targets) > 1 or not source.targets[0].transform.whole or not live.is_contiguous():
            return None
        self._before(key)
        self._written[key] = None
        self._model.wrote(self._component_of(key) or "")
        return live.detach().view(source.shape)

    def is_original(self, key: str) -> bool:
        """Tell whether `key` holds what the base's file holds, cast to the live dtype. Known, not looked up.

        It is known from the second trial on in which `key` is written or asked for, as long as this context has not
        written it.
        """
        return key not in self._written and self._original(key)

    def guard(self) -> AbstractContextManager[object]:
        """Return the context in which what `place` gave may be written, for one thread."""
        return self._model.guard()

    def put(self, key: str, tensor: torch.Tensor) -> None:
        """Copy without asking: for bits that come from the host itself. See `write`."""
        source = self._source(key)
        live = [(target, self._live(target)) for target in source.targets]
        self._written[key] = None
        self._model.wrote(self._component_of(key) or "")
        with self._model.guard():
            for target, parameter in live:
                parameter.data.copy_(target.transform.apply(tensor))

    def read(self, key: str) -> torch.Tensor:
        """Return a copy of the live value of `key`, in checkpoint layout and the live dtype, on the live device."""
        source = self._source(key)
        return self._view(source, source.covers()[0]).clone()

    def digest(self, key: str) -> int:
        """Return the digest of the live value of `key` in checkpoint layout; 2**64 if doubled tensors disagree."""
        source = self._source(key)
        digests, seen = set(), set()
        for cover in source.covers():
            places = tuple(self._live(target).data_ptr() for target in cover)
            if places not in seen:
                seen.add(places)
                digests.add(tensor_digest(self._view(source, cover)))
        return digests.pop() if len(digests) == 1 else _DISAGREE

    def digests(self) -> dict[str, int]:
        """Return the digest of every key written, computed from the live tensors now."""
        return {key: self.digest(key) for key in self._written}

    def _view(self, source: Source, cover: tuple[Target, ...]) -> torch.Tensor:
        """The live value in checkpoint layout, without copying where its elements lie in that order."""
        import torch

        with torch.no_grad():
            parts = [target.transform.undo(self._live(target).detach()) for target in cover]
            return (parts[0] if len(parts) == 1 else torch.cat(parts)).reshape(source.shape)

    def _source(self, key: str) -> Source:
        source = self._table.sources.get(key)
        if source is None:
            raise MergeError(f"The model has no tensor for the key '{key}'.{did_you_mean(key, self._table.sources)}")
        return source

    def _live(self, target: Target) -> torch.Tensor:
        tensor = self._model.tensor(target.name)
        if tuple(tensor.shape) != target.transform.shape:
            raise HostChanged(
                f"The model's tensor {target.name} has changed its shape from {target.transform.shape} to "
                f"{tuple(tensor.shape)}; reload the checkpoint."
            )
        if tensor.is_meta:
            raise HostChanged(f"The model's tensor {target.name} is no longer in memory; reload the checkpoint.")
        return tensor


class TableSession:
    """One run's hold on a host's model (implements ``hosts.base.MergeSession``). Call everything under `exclusive`.

    Args:
        model: The host's side.
        table: Rows of the session's components only.
        component_of: Checkpoint key to component name.
        file: The base's file.
        restored: Called when every tensor written in a trial has its original bits again, compared.
    """

    def __init__(
        self,
        model: LiveModel,
        table: LiveTable,
        component_of: Callable[[str], str | None],
        file: Path,
        restored: Callable[[], None] = lambda: None,
    ) -> None:
        self._model = model
        self._table = table
        self._component_of = component_of
        self._restored = restored
        reader = TableWeights(table, model, component_of)
        self._originals = Originals(reader.read, reader.digest, file)
        self._open: TableWeights | None = None
        self._turn = 0
        self._closed = False
        model.check_same()
        model.prepare()
        self._originals.watch(table.sources)

    def keys(self) -> tuple[str, ...]:
        """Return all checkpoint keys of the session's components with a live counterpart."""
        return tuple(self._table.sources)

    def unmapped(self) -> tuple[str, ...]:
        """Return keys of the base's file in the session's components that have no live counterpart."""
        return self._table.unmapped

    def copied_bytes(self) -> int:
        """Return how many bytes of originals are held as copies in RAM."""
        return self._originals.copied_bytes()

    @contextlib.contextmanager
    def live_weights(self) -> Iterator[TableWeights]:
        """Open the live weights for one trial; see ``hosts.base.MergeSession.live_weights``."""
        if self._closed:
            raise RunError("This merge session is closed; open another.")
        if self._open is not None:
            raise RunError("The live weights are open already; leave them first.")
        self._model.check_same()
        self._model.prepare()
        self._originals.check(self._sample())
        weights = TableWeights(
            self._table, self._model, self._component_of, self._originals.capture, self._originals.is_file
        )
        self._open = weights
        try:
            yield weights
        finally:
            self._open = None
            self._put_back(weights)

    def chosen(self) -> bool:
        """Return True: a host in which the user may choose another model beside a run says so itself."""
        return True

    def check(self, thorough: bool = False) -> None:
        """Raise `HostChanged` if the live weights or the selection are not what they should be right now."""
        self._model.check_same()
        if self._open is None:
            self._originals.check(self._table.sources if thorough else self._sample())

    def close(self) -> None:
        """Let go of originals and files. Idempotent."""
        self._closed = True
        self._originals.close()

    def _sample(self) -> tuple[str, ...]:
        keys = tuple(self._table.sources)
        stride = max(1, len(keys) // _SAMPLE)
        self._turn += 1
        return keys[self._turn % stride :: stride]

    def _put_back(self, weights: TableWeights) -> None:
        """Write the originals of every written key, whatever happens to one of them, then compare."""
        written = weights.written()
        if not written:
            return
        self._model.check_same()  # never into a foreign model
        failures: list[BaseException] = []
        for key in written:
            try:
                weights.put(key, self._originals.value(key))
            except BaseException as error:  # noqa: BLE001 - the others must go back first; raised in _retry
                failures.append(error)
        if failures:
            self._retry(weights, written, failures)
        try:
            self._originals.check(written)
        except HostChanged as error:
            raise HostError(
                "The model could not be put back bit for bit (was its file changed during the run?); reload the "
                f"checkpoint before you use it. {error}"
            ) from error
        self._restored()

    def _retry(self, weights: TableWeights, written: tuple[str, ...], failures: list[BaseException]) -> None:
        """A Ctrl-C or a passing shortage of memory hits one write: once more, then give up and say so."""
        for key in written:
            try:
                weights.put(key, self._originals.value(key))
            except Exception as error:
                raise HostError(
                    f"The model's {key} could not be put back ({error}); reload the checkpoint before you use it."
                ) from error
        for failure in failures:
            if not isinstance(failure, Exception):  # KeyboardInterrupt, SystemExit: now that all is back
                raise failure


def _storable(key: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Check that all values are finite, also in `dtype`; clamp for float8, which overflows to NaN in older torch."""
    import torch

    with torch.no_grad():
        tensor = tensor.detach()
        if not tensor.is_floating_point():
            raise MergeError(f"The merge gave {key} as {tensor.dtype}; weights must be floating point.")
        if tensor.element_size() == 1:
            tensor = tensor.to(torch.float32)
        if tensor.numel() == 0:
            return tensor
        # Casting is monotone, so the two ends say it for all; NaN comes through aminmax.
        ends = torch.stack(torch.aminmax(tensor))
        if not bool(torch.isfinite(ends).all()):
            raise MergeError(f"The merge gave non-finite values for {key}; choose other parameters or another method.")
        limits = torch.finfo(dtype)
        if limits.bits == 8:
            return tensor.clamp(limits.min, limits.max)
        if not bool(torch.isfinite(ends.to(dtype)).all()):
            raise MergeError(
                f"The merge gave values up to {float(ends.abs().max()):.3g} for {key}, more than the model's {dtype} "
                "holds; choose other parameters or another method."
            )
        return tensor
