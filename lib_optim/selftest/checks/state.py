"""Statements 27 and 30: what the user sees and has set is the user's again."""

from __future__ import annotations

import dataclasses

from lib_optim.hosts.base import HostState
from lib_optim.hosts.probe import Unavailable
from lib_optim.plan.payload import ImageJob
from lib_optim.selftest.bench import Bench
from lib_optim.selftest.checks.runs import tiny_run

__all__ = ["infotext_names_the_merge", "selection_is_kept", "settings_are_kept"]

_STAMP = {"Optim trial": "self-test 7", "Optim recipe": "0123456789ab"}


def infotext_names_the_merge(bench: Bench) -> None:
    """27: during the run the trial, after it the base."""
    with bench.session() as session, bench.exclusive(), session.live_weights() as live:
        bench.write(live, 0.5)
        merged = bench.image(bench.plain, _STAMP)
    for name, value in _STAMP.items():
        bench.expect(f"{name}: {value}" in merged.infotext, f"the infotext does not say '{name}: {value}'")
    after = bench.fresh_image(bench.plain)
    bench.expect(
        not any(name in after.infotext for name in _STAMP), "an image made after the run still names the merge"
    )
    bench.expect(after.infotext == bench.before["plain"].infotext, "the infotext after the run is not the base's")
    try:
        other = bench.client_image(bench.plain)
    except Unavailable:
        return
    bench.expect(not any(name in other.infotext for name in _STAMP), "another client's image names the merge")
    bench.expect(other.infotext == bench.before["client"].infotext, "another client's infotext is not the one before")


def settings_are_kept(bench: Bench) -> str:
    """30: during a trial that is over, and after a whole run."""
    wanted = bench.probe.settings()
    with bench.session() as session:
        bench.trial(session, 0.5, [_with_a_setting(bench)])
        between = bench.probe.settings()
    with tiny_run(bench, trials=1) as run:
        run.wait_for_end()
    for seen, when in ((between, "between trials"), (bench.probe.settings(), "after a run")):
        changed = [name for name in {*seen, *wanted} if seen.get(name) != wanted.get(name)]
        bench.expect(not changed, f"{when} the settings {', '.join(sorted(changed)[:5])} differ")
    return f"{len(wanted)} settings"


def _with_a_setting(bench: Bench) -> ImageJob:
    """An image that needs a setting of the host to be changed for it, if the host has such payload fields."""
    if "clip_skip" not in bench.capabilities.payload_fields:
        return bench.plain
    return dataclasses.replace(bench.plain, payload=dataclasses.replace(bench.plain.payload, clip_skip=2))


def selection_is_kept(bench: Bench) -> None:
    """30: the host's own account of what is loaded and selected, after another base was loaded, and after a run."""
    variant = bench.variant()
    with bench.exclusive():
        wanted = bench.host.state()
        bench.load(variant)
        bench.host.restore(wanted)
        seen = bench.host.state()
    _same_state(bench, seen, wanted, "after another checkpoint was loaded and taken back")
    bench.unsettle()
    with tiny_run(bench, trials=1) as run:
        run.wait_for_end()
    _same_state(bench, bench.host.state(), wanted, "after a run")


def _same_state(bench: Bench, seen: HostState, wanted: HostState, when: str) -> None:
    names = sorted(n for n in {*seen.details, *wanted.details} if seen.details.get(n) != wanted.details.get(n))
    bench.expect(seen == wanted, f"{when} the host's state differs: {', '.join(names) or 'checkpoint'}")
