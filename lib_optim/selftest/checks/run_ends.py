"""Statements 7, 8, 20 and 21 for whole runs: however a run is left, the model is back and nothing wrong is scored."""

from __future__ import annotations

import threading

from lib_optim.selftest.bench import Bench, Skipped
from lib_optim.selftest.checks.runs import Run, tiny_run

__all__ = [
    "exception_mid_scoring",
    "needs_a_browser",
    "needs_a_reload",
    "no_partial_image_is_scored",
    "skip_restores",
    "stop_between_trials",
    "stop_restores",
    "unload_restores",
]


def _is_back(bench: Bench, before: dict[str, int], when: str) -> None:
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], f"image after {when}")
    bench.unchanged(bench.weights(), before, f"After {when}")


def exception_mid_scoring(bench: Bench) -> str:
    """7: the scorer cannot read an image; the trial fails, with a reason, and no score is kept."""
    before = bench.weights()

    def prepare(run: Run) -> None:
        run.spy.change_image = _unreadable_elsewhere

    with tiny_run(bench, trials=1, prepare=prepare) as run:
        bench.until(lambda: any(t["state"] not in ("running", "waiting") for t in run.trials()), "the end of a trial")
        trials = run.trials()[:1]
        run.manager.stop()
        run.wait_for_end()
    bench.expect(all(t["state"] == "failed" for t in trials), "a trial counts although its image could not be scored")
    bench.expect(all(t["value"] is None and t["reason"] for t in trials), "a failed trial has a value, or no reason")
    _is_back(bench, before, "failures of the scorer")
    return str(trials[0]["reason"])


def _unreadable_elsewhere(made):  # type: ignore[no-untyped-def]
    """Return the image such that only the thread that made it can read it: it is saved, and cannot be scored."""
    import dataclasses

    from PIL import Image

    owner = threading.get_ident()

    class Unreadable(Image.Image):
        def load(self):  # type: ignore[no-untyped-def]
            if threading.get_ident() != owner:
                raise RuntimeError("a deliberate failure of the self-test")
            return super().load()

    image = made.image.copy()
    image.__class__ = Unreadable
    return dataclasses.replace(made, image=image)


def stop_restores(bench: Bench) -> None:
    """8: Stop, mid-image. 20: and that image has no score, and flags are clear."""
    before = bench.weights()
    with tiny_run(bench, long=True) as run:
        with bench.when_generating(run.manager.stop) as seen:
            run.wait_for_end()
        bench.expect(bool(seen), "no image of the run was seen under way")
        stored, snapshot = run.stored_pixels(), run.manager.snapshot()
        bench.expect(not run.spy.swapped, "the merge was not taken out")
        bench.expect(not run.spy.images and not stored, "an image came of a run that was stopped during its first")
        bench.expect(snapshot["best"] is None, "a run that was stopped during its first image has a best trial")
        bench.expect(snapshot["state"] == "finished", f"the run ended as {snapshot['state']}: {snapshot['sentence']}")
    _is_back(bench, before, "Stop")
    if "client" in bench.before:
        bench.same(bench.client_image(bench.plain), bench.before["client"], "another client's image after Stop")


def skip_restores(bench: Bench) -> None:
    """8: Skip trial, mid-image; the run goes on."""
    before = bench.weights()
    with tiny_run(bench, trials=1, long=True) as run:
        with bench.when_generating(run.manager.skip_trial):
            bench.until(lambda: len(run.trials()) > 1 or not run.manager.active, "the next trial after Skip trial")
        states = [trial["state"] for trial in run.trials()]
        bench.expect(states == ["skipped", "running"], f"after Skip trial the trials are {', '.join(states)}")
        run.manager.stop()
        run.wait_for_end()
    _is_back(bench, before, "Skip trial")


def unload_restores(bench: Bench) -> None:
    """8: what script unload and UI reload call, mid-image."""
    before = bench.weights()
    with tiny_run(bench, long=True) as run:
        with bench.when_generating(run.manager.close):
            run.wait_for_end()
        bench.expect(not run.manager.active, "the run went on after it was closed")
    _is_back(bench, before, "script unload")


def stop_between_trials(bench: Bench) -> str:
    """20: just before the host's flags are cleared for the second trial."""

    def prepare(run: Run) -> None:
        run.spy.before_job = lambda number: run.manager.stop() if number == 1 else None

    with tiny_run(bench, trials=3, prepare=prepare) as run:
        run.wait_for_end()
        complete = [t for t in run.trials() if t["state"] == "complete"]
        bench.expect(len(run.spy.images) == 2, f"{len(run.spy.images)} images were made; Stop came after the second")
        bench.expect(len(complete) == 1, f"{len(complete)} trials are complete; Stop came after the first")
        failed = sum(t["state"] == "failed" for t in run.trials())
        bench.expect(not failed, f"Stop made {failed} trials fail")
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "image after Stop")
    return f"{len(complete)} trial complete"


def no_partial_image_is_scored(bench: Bench) -> None:
    """21: Skip image, and the host's Interrupt where there is one; what is stored is what the host finished."""
    with tiny_run(bench, trials=1, long=True) as run:
        with bench.when_generating(run.manager.skip_image):
            run.wait_for_end()
        (trial,) = run.trials()
        images = run.manager.snapshot(also=[trial["number"]])["images"][str(trial["number"])]
        stored = set(run.stored_pixels().values())
        bench.expect([i["skipped"] for i in images] == [True, False], "the skipped image is not marked as skipped")
        bench.expect(not images[0]["scores"], "the skipped image has a score")
        bench.expect(bool(images[1]["scores"]), "the image that was not skipped has no score")
        whole = {image.pixels for image in run.spy.images}
        bench.expect(len(run.spy.images) == 1, f"{len(run.spy.images)} images came back, one of two was skipped")
        bench.expect(stored <= whole, "an image was stored that the host never finished")


def needs_a_browser(bench: Bench) -> None:
    """8: page reload."""
    del bench
    raise Skipped("needs a browser: reload this page during a run, the run must go on (tests/browser does it)")


def needs_a_reload(bench: Bench) -> None:
    """8: UI reload."""
    del bench
    raise Skipped("would end this very test: use Reload UI during a run, then look for your model's images as before")
