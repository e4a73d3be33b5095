"""Statements 19, 22 and 23: locks, threads and errors."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from tests.selftest.mutations.registry import Patch, breaks


@breaks(19, "one trial", hosts=("a1111", "forge"))
@breaks(22, "one holder", hosts=("a1111", "forge"))
def lock_not_held(patch: Patch) -> None:
    from lib_optim.hosts.webui.lock import QueueLock

    @contextlib.contextmanager
    def hold(self: Any, give_up: Any = None) -> Any:
        self._holder = threading.get_ident()
        yield
        self._holder = None

    patch.setattr(QueueLock, "hold", hold)


@breaks(19, "a run")
def lock_released_before_restore(patch: Patch) -> None:
    """Every restore is put off to the next opening: somebody else's turn comes while the merge is in place."""
    from lib_optim.hosts.live import TableSession

    original = TableSession._put_back
    late: dict[int, Any] = {}

    def put_back(self: Any, weights: Any) -> None:
        late[id(self)] = weights

    before = TableSession.live_weights

    @contextlib.contextmanager
    def live_weights(self: Any) -> Any:
        if id(self) in late:
            original(self, late.pop(id(self)))
        with before(self) as live:
            yield live

    patch.setattr(TableSession, "_put_back", put_back)
    patch.setattr(TableSession, "live_weights", live_weights)


@breaks(22, "free after every exit", hosts=("a1111", "forge"))
def lock_kept_after_an_exception(patch: Patch) -> None:
    from lib_optim.hosts.webui.lock import QueueLock

    original = QueueLock.hold

    @contextlib.contextmanager
    def hold(self: Any, give_up: Any = None) -> Any:
        manager = original(self, give_up)
        manager.__enter__()
        try:
            yield
        except LookupError:
            self._holder = None
            # Else the self-test itself could not go on.
            timer = threading.Timer(7, manager.__exit__, (None, None, None))
            timer.daemon = True
            timer.start()
            raise
        except BaseException as error:
            manager.__exit__(type(error), error, error.__traceback__)
            raise
        else:
            manager.__exit__(None, None, None)

    patch.setattr(QueueLock, "hold", hold)


@breaks(22, "writes of a run", hosts=("a1111",))
def run_without_the_lock(patch: Patch) -> None:
    from lib_optim.run.hosting import HostHold

    patch.setattr(HostHold, "exclusive", lambda self: contextlib.nullcontext())


@breaks(22, "main thread", hosts=("forge",))
def main_thread_taken_for_the_whole_trial(patch: Patch) -> None:
    from modules_forge import main_thread

    from lib_optim.hosts.forge import host, model

    original = host.ForgeHost.exclusive

    @contextlib.contextmanager
    def exclusive(self: Any, give_up: Any = None) -> Any:
        over = threading.Event()
        with original(self, give_up):
            main_thread.async_run(over.wait)
            try:
                yield
            finally:
                over.set()

    patch.setattr(host.ForgeHost, "exclusive", exclusive)
    for module in (host, model):
        patch.setattr(module, "run_on_main_thread", lambda call: call())


@breaks(23, hosts=("forge",))
def main_thread_hides_errors(patch: Patch) -> None:
    from modules_forge import main_thread

    from lib_optim.hosts.forge import host

    patch.setattr(host, "run_on_main_thread", main_thread.run_and_wait_result)


@breaks(23, hosts=("a1111",))
def failed_image_is_grey(patch: Patch) -> None:
    from PIL import Image

    from lib_optim.hosts.webui.host import WebuiHost
    from lib_optim.plan.errors import HostError

    original = WebuiHost._one_image

    def one_image(self: Any, *arguments: Any) -> Any:
        try:
            return original(self, *arguments)
        except HostError:
            return Image.new("RGB", (64, 64)), "", False

    patch.setattr(WebuiHost, "_one_image", one_image)
