"""Statements 19 to 23, as far as they concern one trial: locks, flags, errors."""

from __future__ import annotations

import time
from collections.abc import Callable

from lib_optim.plan.errors import HostError, OptimError, RunError
from lib_optim.selftest.background import Failed
from lib_optim.selftest.bench import Bench

__all__ = [
    "error_in_pipeline_arrives",
    "interrupt_button",
    "lock_excludes",
    "lock_is_free_after_every_exit",
    "main_thread_answers",
    "other_client_waits",
    "skip_button",
    "stop_mid_image",
]


def other_client_waits(bench: Bench) -> None:
    """19: a request that comes while the merge is in place."""
    with bench.session() as session:
        with bench.exclusive(), session.live_weights() as live:
            bench.write(live, 1.0)
            request = bench.in_thread(lambda: bench.client_image(bench.plain))
            early = request.done(0.3)
            bench.image(bench.plain)
            early = early or request.done()
        image = request.result("another client's request")
    bench.expect(not early, "another client's request was served while the merge was in place")
    bench.same(image, bench.before["client"], "another client's image against the one before")


def stop_mid_image(bench: Bench) -> None:
    """20: no image comes back, no flag stays."""
    with bench.session() as session:
        with bench.exclusive(), session.live_weights() as live:
            bench.write(live, 1.0)
            bench.interrupted_image()
        _others_can_work(bench)
        bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "image after an interrupted one")
        (one,) = bench.trial(session, 1.0, [bench.plain])
        bench.differ(one, bench.before["plain"], "trial after an interrupted one against the base")


def _others_can_work(bench: Bench) -> None:
    bench.expect(not bench.probe.flags(), f"still set afterwards: {', '.join(bench.probe.flags())}")
    if "client" in bench.before:
        bench.same(
            bench.client_image(bench.plain), bench.before["client"], "another client's image after an interrupted one"
        )


def interrupt_button(bench: Bench) -> None:
    """21: the host's own Interrupt."""
    if not bench.probe.can("press_interrupt"):
        bench.probe.press_interrupt()  # says why
    _pressed(bench, bench.probe.press_interrupt)


def skip_button(bench: Bench) -> None:
    """21: the host's own Skip."""
    if not bench.probe.can("press_skip"):
        bench.probe.press_skip()  # says why
    _pressed(bench, bench.probe.press_skip)


def _pressed(bench: Bench, press: Callable[[], None]) -> None:
    with bench.session() as session, bench.exclusive(), session.live_weights() as live:
        bench.write(live, 1.0)
        bench.interrupted_image(press)
    _others_can_work(bench)
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "image after the button")


def lock_excludes(bench: Bench) -> None:
    """22: nobody else gets the lock while it is held."""
    with bench.exclusive():
        if _lock_is_free(bench, 0.5):
            raise Failed("two threads held the host's lock at once")
    bench.expect(_lock_is_free(bench, 5.0), "the lock was not free after its holder left")


def _lock_is_free(bench: Bench, patience: float) -> bool:
    def attempt() -> bool:
        until = time.monotonic() + patience
        try:
            with bench.host.exclusive(lambda: time.monotonic() > until):
                return True
        except RunError:
            return False

    return bench.in_thread(attempt).result("asking for the lock", patience + 10)


def lock_is_free_after_every_exit(bench: Bench) -> None:
    """22: normal, refused, failed, interrupted."""

    def fail() -> None:
        raise HostError("a deliberate failure of the self-test")

    ways = {
        "a trial": lambda: None,
        "an exception": fail,
        "an unexpected exception": lambda: {}["no such key"],
        "an interrupted image": bench.interrupted_image,
    }
    with bench.session() as session:
        for name, leave in ways.items():
            try:
                with bench.exclusive(), session.live_weights() as live:
                    bench.write(live, 0.5, list(live.keys())[:3])
                    leave()
            except (OptimError, KeyError):
                pass
            bench.expect(_lock_is_free(bench, 5.0), f"the lock was not free after {name}")
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "after every exit")


def main_thread_answers(bench: Bench) -> str:
    """22: between the images of a trial."""
    bench.probe.main_thread_delay(10.0)  # or Unavailable, before anything begins
    with bench.session() as session, bench.exclusive(), session.live_weights() as live:
        bench.write(live, 0.5)
        asking = bench.in_thread(lambda: bench.probe.main_thread_delay(60.0))
        for _ in range(6):
            bench.image(bench.plain)
            if asking.done():
                break
        answered = asking.done(0.5)
    delay = asking.result("an empty task on the main thread")
    bench.expect(answered, "the host's main thread did nothing else while a trial's images were made")
    return f"after {delay:.2f} s"


def error_in_pipeline_arrives(bench: Bench) -> str:
    """23."""
    sentence = "a deliberate failure of the self-test"
    with bench.session() as session, bench.exclusive(), session.live_weights():
        said = ""
        with bench.probe.failing_generation(sentence):
            try:
                bench.image(bench.plain)
            except HostError as error:
                said = f"{error} {error.__cause__ or ''}"
        bench.expect(bool(said), "an image came back although the pipeline raised")
        bench.expect(sentence in said, f"the error arrived without its reason: {said}")
        bench.same(bench.image(bench.plain), bench.before["plain"], "image after a failed one")
    return said
