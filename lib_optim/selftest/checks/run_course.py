"""Statements 16, 19, 22, 26, 27 and 28 for whole runs: what others see and do while one is going on."""

from __future__ import annotations

from lib_optim.selftest.bench import Bench, Failed, Skipped
from lib_optim.selftest.checks.runs import Run, tiny_run, watched_run

__all__ = [
    "choice_pauses_the_run",
    "client_waits_for_a_trial",
    "model_is_back_while_paused",
    "progress_of_the_run",
    "saved_images_name_the_merge",
    "writes_hold_the_lock",
]


def choice_pauses_the_run(bench: Bench) -> str:
    """16: the run pauses with a sentence, and makes no image after that; the choice stands."""
    before = bench.probe.chosen()
    variant = bench.variant()
    choices = []

    def prepare(run: Run) -> None:
        def before_image(number: int) -> None:
            if number == 1:
                choices.append(bench.in_thread(lambda: bench.probe.choose(variant)))
                choices[0].done(0.3)  # where a choice waits for the lock it does not get further than that

        run.spy.before_image = before_image

    try:
        with tiny_run(bench, trials=4, prepare=prepare) as run:
            run.wait_for("paused")
            sentence = str(run.manager.snapshot()["sentence"])
            made = len(run.spy.images)
            choices[0].result("choosing another checkpoint")
            bench.expect(made <= 2, f"{made - 1} images were made after another checkpoint was chosen")
            bench.expect(len(sentence) > 20, "the run paused without a reason")
            bench.expect(bench.probe.chosen() != before, "the user's choice of a checkpoint was taken back")
            run.manager.stop()
            run.wait_for_end()
            bench.expect(bench.probe.chosen() != before, "the end of the run took back the user's choice")
        if "client" in bench.before:
            seen = bench.client_image(bench.plain)
            bench.differ(seen, bench.before["client"], "another client's image after the user's choice")
    finally:
        bench.back_to_base()
    return sentence


def client_waits_for_a_trial(bench: Bench) -> str:
    """19."""
    run, _, _ = watched_run(bench)
    if run.client is None:
        raise Skipped("this host has no other clients")
    bench.same(run.client, bench.before["client"], "another client's image during a run against the one before")
    return f"{len(run.spy.images)} images of the run beside it"


def writes_hold_the_lock(bench: Bench) -> str:
    """22: every call of the run that changes or reads the model."""
    run, _, _ = watched_run(bench)
    loose = sorted({what.split()[0] for what in run.spy.loose})
    bench.expect(not loose, f"without the lock: {', '.join(loose)}")
    bench.expect(run.spy.writes > 0, "nothing was written at all")
    return f"{run.spy.writes} writes"


def model_is_back_while_paused(bench: Bench) -> None:
    """26: switch away and back while a run is paused, with two models kept; then the run goes on."""
    variant = bench.variant()
    with bench.exclusive():
        keeping = bench.probe.kept_models(2)
        keeping.__enter__()
    try:
        with tiny_run(bench, trials=2, long=True) as run:
            with bench.when_generating(run.manager.pause):
                run.wait_for("paused")
            bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "the base while the run is paused")
            with bench.exclusive():
                bench.load(variant)
                away = bench.image(bench.plain)
                bench.load(bench.base)
                back = bench.image(bench.plain)
            bench.same(away, bench.disk["plain"], "the other checkpoint while the run is paused")
            bench.same(back, bench.before["plain"], "the base again while the run is paused")
            run.manager.stop()
            run.wait_for_end()
    finally:
        with bench.exclusive():
            keeping.__exit__(None, None, None)


def saved_images_name_the_merge(bench: Bench) -> str:
    """27."""
    run, stored, infotexts = watched_run(bench)
    recipes = {trial["number"]: trial["recipe"] for trial in run.trials()}
    bench.expect(len(stored) == 6, f"{len(stored)} images were saved, 3 trials of 2 were made")
    for file, text in infotexts.items():
        named = [n for n, recipe in recipes.items() if f"Optim recipe: {recipe}" in text]
        bench.expect("Optim trial: " in text, f"the infotext of {file} names no trial")
        bench.expect(len(named) == 1, f"the infotext of {file} names no recipe of the run")
    bench.expect(len(set(recipes.values())) == 3, "two trials have the same recipe")
    whole = {image.pixels for image in run.spy.images}
    bench.expect(set(stored.values()) <= whole, "a saved image is not the one that the host made")
    return f"{len(stored)} images"


def progress_of_the_run(bench: Bench) -> str:
    """28."""
    run, _, _ = watched_run(bench)
    running = [s["progress"] for s in run.snapshots if s["state"] == "running"]
    trials = [p["trial"] for p in running]
    images = {p["image"] for p in running}
    bench.expect(trials == sorted(trials), "the number of the trial went backwards")
    if not {1, 2} <= set(trials) or not {1, 2} <= images:
        raise Failed(
            f"of 3 trials of 2 images only the trials {sorted(set(trials))}, images {sorted(images)} were shown"
        )
    bench.expect(any(p["eta_seconds"] is not None for p in running), "no time of arrival was ever shown")
    return f"{len(running)} snapshots while running"
