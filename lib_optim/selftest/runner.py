"""Running the rows on a host, and leaving the host as it was."""

from __future__ import annotations

import logging
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from lib_optim import __version__
from lib_optim.hosts.base import Checkpoint, Host
from lib_optim.hosts.probe import Unavailable, probe_of
from lib_optim.plan.errors import OptimError, RunError
from lib_optim.selftest.background import PATIENCE
from lib_optim.selftest.bench import Bench, Failed, Skipped
from lib_optim.selftest.report import Outcome, SelftestReport, Status, anonymous
from lib_optim.selftest.rows import Row, rows

__all__ = ["run_selftest"]

_log = logging.getLogger(__name__)
_IDLE_SECONDS = 0.02  # a row skipped that fast has touched nothing
_one_at_a_time = threading.Lock()

Progress = Callable[[str, int, int], None]


def run_selftest(
    host: Host, on_progress: Progress | None = None, only: Collection[int | str] | None = None
) -> SelftestReport:
    """Check every statement on `host`, with the checkpoint that it has loaded (or else its first).

    Works on a thread of its own, takes the host's lock for one trial at a time like a run, and puts back what was
    loaded and selected, whatever happens. Takes seconds on a small model, a minute or more on a large one.

    Args:
        host: The host. No run may be going on.
        on_progress: Called with the name of the row at hand, how many are done, and how many there are.
        only: Numbers of the statements to check, or names of single rows (``"7 mid-write"``); all if None.

    Returns:
        One outcome per row; rows that cannot be run here are ``skipped``, never ``passed``.

    Raises:
        RunError: A run or another self-test is going on.
    """
    from lib_optim.run.singleton import current_manager

    manager = current_manager()
    if manager is not None and manager.active:
        raise RunError("A run is going on; stop it or wait for its end before the self-test.")
    if not _one_at_a_time.acquire(blocking=False):
        raise RunError("A self-test is going on already; wait for its report.")
    try:
        chosen = tuple(row for row in rows() if only is None or row.number in only or row.name in only)
        reports: list[SelftestReport] = []
        work = _Work(host, chosen, on_progress or (lambda text, done, total: None))
        thread = threading.Thread(target=lambda: reports.append(work.run()), daemon=True, name="optim self-test")
        thread.start()
        thread.join()
        if not reports:
            raise RunError("The self-test ended without a report; the trace is in the host's log.")
        return reports[0]
    finally:
        _one_at_a_time.release()


class _Work:
    """One self-test."""

    def __init__(self, host: Host, chosen: tuple[Row, ...], on_progress: Progress) -> None:
        self._host, self._rows, self._on_progress = host, chosen, on_progress
        self._outcomes: list[Outcome] = []
        self._model = self._device = "none"
        self._names: list[tuple[str, str]] = []  # what checkpoints are called is the user's own business

    def run(self) -> SelftestReport:
        """Do it."""
        started = time.monotonic()
        try:
            with self._prepared() as bench:
                wanted = self._weights(bench)
                for row in self._rows:
                    self._do(row, bench, wanted)
        except _CannotBegin as why:
            self._skip_rest(str(why))
        except Exception as error:  # noqa: BLE001 - whatever it is belongs into the report
            _log.exception("The self-test")
            self._fail_last(f"afterwards: {_sentence(error)}")
            self._skip_rest(f"the self-test ended early: {_sentence(error)}")
        host = self._host
        return SelftestReport(
            host=host.id, host_title=host.title, host_version=host.version, optim=__version__,
            python=platform.python_version(), torch=_torch_version(),
            system=f"{platform.system()} {platform.machine()}", device=self._device, model=self._model,
            outcomes=tuple(self._outcomes), seconds=time.monotonic() - started,
        )  # fmt: skip

    # --- before and after -----------------------------------------------------------------------------------

    @contextmanager
    def _prepared(self) -> Iterator[Bench]:
        host, probe = self._host, probe_of(self._host)
        first = host.state()
        bench: Bench | None = None
        keeping: AbstractContextManager[None] = nullcontext()
        # Windows keeps a lock on a file that is still mapped; leftovers there are no finding.
        with tempfile.TemporaryDirectory(prefix="optim-selftest-", ignore_cleanup_errors=True) as folder:
            try:
                base = _base(host, first.checkpoint)
                try:
                    bench = Bench(host, probe, base, Path(folder))
                    bench.clean_up()
                    with bench.exclusive():
                        keeping = probe.keeping_settings()
                        keeping.__enter__()
                        bench.load(base)
                    self._describe(bench)
                    self._on_progress("images of the untouched model", 0, len(self._rows))
                    bench.look()
                except (OptimError, Failed) as error:
                    raise _CannotBegin(f"the untouched host cannot be used: {error}") from error
                yield bench
            finally:
                until = time.monotonic() + PATIENCE
                try:
                    with host.exclusive(lambda: time.monotonic() > until):
                        host.restore(first)
                        keeping.__exit__(None, None, None)
                finally:
                    if bench is not None:
                        bench.clean_up()

    def _describe(self, bench: Bench) -> None:
        for checkpoint in self._host.checkpoints():
            public = "the base" if checkpoint.path == bench.base.path else "a checkpoint"
            self._names += [(checkpoint.title, public), (checkpoint.path.name, public)]
        size = bench.header.file_bytes / 1e6
        self._model = f"{bench.architecture.title}, {len(bench.header.tensors)} tensors, {size:.0f} MB"
        try:
            with bench.exclusive():
                tensor = max(bench.probe.live_tensors().values(), key=lambda t: t.numel())
                self._device = f"{tensor.device} {str(tensor.dtype).removeprefix('torch.')}"
        except Unavailable:
            self._device = "not shown"

    def _weights(self, bench: Bench) -> Mapping[str, int] | None:
        try:
            return bench.weights()
        except Unavailable:
            return None

    # --- rows -----------------------------------------------------------------------------------------------

    def _do(self, row: Row, bench: Bench, wanted: Mapping[str, int] | None) -> None:
        self._on_progress(row.name, len(self._outcomes), len(self._rows))
        started = time.monotonic()
        status, detail = _outcome(row, bench)
        idle = status == "skipped" and time.monotonic() - started < _IDLE_SECONDS
        problem = "" if idle else _problem(bench, wanted)
        if problem:
            status, detail = "failed", f"{detail}; afterwards: {problem}".removeprefix("; ")
        self._add(row, status, detail, time.monotonic() - started)
        if problem and not _mend(bench, wanted):
            raise RuntimeError("the model could not be put back; reload your checkpoint before you use it")

    def _add(self, row: Row, status: Status, detail: str, seconds: float) -> None:
        for name, public in self._names:
            detail = detail.replace(name, public)
        detail = anonymous(detail)
        self._outcomes.append(Outcome(row.number, row.part, row.statement, status, detail, round(seconds, 3)))

    def _skip_rest(self, why: str) -> None:
        for row in self._rows[len(self._outcomes) :]:
            self._add(row, "skipped", why, 0.0)

    def _fail_last(self, why: str) -> None:
        """What happens after a row's own checks still belongs to it: never let it end green."""
        if self._outcomes:
            last = self._outcomes.pop()
            row = self._rows[len(self._outcomes)]
            self._add(row, "failed", f"{last.detail}; {why}".removeprefix("; "), last.seconds)


class _CannotBegin(Exception):
    pass


def _outcome(row: Row, bench: Bench) -> tuple[Status, str]:
    try:
        return "passed", row.check(bench) or ""
    except (Skipped, Unavailable) as why:
        return "skipped", str(why)
    except Failed as found:
        return "failed", str(found)
    except Exception as error:  # noqa: BLE001 - an unexpected error is a finding of this row
        _log.exception("Self-test %s", row.name)
        return "failed", _sentence(error)


def _problem(bench: Bench, wanted: Mapping[str, int] | None) -> str:
    """What a row left behind, in a sentence; empty for nothing."""
    try:
        return bench.problem(wanted)
    except Exception as error:  # noqa: BLE001 - a host that cannot even be looked at is a finding
        return _sentence(error)


def _mend(bench: Bench, wanted: Mapping[str, int] | None) -> bool:
    """Put the base back with the host's own means; return whether it is as it was."""
    for step in (bench.back_to_base, lambda: _reload(bench)):
        try:
            step()
        except Exception:  # noqa: BLE001 - the next step may still do it
            _log.exception("Putting the model back")
            continue
        problem = _problem(bench, wanted)
        if not problem:
            return True
        _log.warning("The model is not as it was: %s", problem)
    return False


def _reload(bench: Bench) -> None:
    with bench.exclusive():
        bench.new_model()


def _sentence(error: BaseException) -> str:
    """The error with the place where it happened: a report is read far from the traceback."""
    where = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        where = f" ({Path(code.co_filename).name}:{trace.tb_lineno} in {code.co_name})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{where}"


def _base(host: Host, loaded: str | None) -> Checkpoint:
    """The checkpoint to test with: the loaded one, else the first."""
    listed = host.checkpoints(refresh=True)
    if not listed:
        raise _CannotBegin("the host has no checkpoint; put one into its models folder")
    base = next((c for c in listed if loaded is not None and loaded in (c.title, str(c.path))), listed[0])
    if base.path.suffix.lower() != ".safetensors":
        raise _CannotBegin("the loaded checkpoint is no .safetensors file; load one that is")
    return base


def _torch_version() -> str:
    torch = sys.modules.get("torch")
    return str(getattr(torch, "__version__", "not loaded"))
