"""Writes docs/reliability.md from docs/reliability.json and from the rows of the fault injection.

python -m tools.reliability_page
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.faults.long_run import BOUNDS
from tests.faults.rows import FAULTS, LEFT_OUT, OUTCOMES, ROWS, STEPS

__all__ = ["FIGURES", "PAGE", "page"]

DOCS = Path(__file__).resolve().parents[1] / "docs"
FIGURES, PAGE = DOCS / "reliability.json", DOCS / "reliability.md"

_HEAD = """# What a run survives

A run lasts days on a machine that crashes, fills its disk or runs out of memory. This page says what that costs, and
how it was seen. (Written from [reliability.json](reliability.json) and from the rows of `tests/faults/rows.py` by
`python -m tools.reliability_page`; the tests run the same code with smaller numbers.)
"""
_KILLS = """## Killed

`python -m tools.reliability kills` starts a run in a process of its own, sends it SIGKILL, looks at what is on the
disk, resumes it, and so on until the run has ended all the same; then it begins another. Every other kill comes at a
random instant; the others in the middle of a write (a trap in the process itself leaves what a kill at that instant
leaves: half a file, half a commit). A run has six trials of two images, judged by a machine and by somebody who
clicks each rating twice, a verification and a saved checkpoint; TPE, CMA-ES and random search take turns. Merge,
record, files and checkpoint are the real ones; only the pictures are drawn from a digest of the weights, so that they
show every bit.

After each kill: the database passes SQLite's integrity check; each trial and rating that the page has shown as taken
is there, once; finished trials are those of an undisturbed run, values and proposals included; each file under its
final name is whole. At the end: trials, scores, pictures, verdict, recipe and checkpoint are those of the undisturbed
run, and no half-written file is left.
"""
_FAULTS = """## What breaks, and what comes of it

Each fault strikes once, at the lowest level that is ours. After each of them the model in the host has the bits of
its file, its queue is free, nothing of the run is left in it, one sentence without a trace is on the page, the trace
is in `log.txt`, and a next run or a resume works. A step that **hangs** here gives up after a while; the page is
answered meanwhile. Nothing can end a step that never returns but the end of the program, which loses nothing (above).

| step | fault | what comes of it | the sentence contains |
|---|---|---|---|
"""
_LONG = """## Long runs

`python -m tools.reliability long` makes a run of thousands of short trials, with a page that looks on ten times a
second. By how much each trial makes things grow, over the last three quarters of the run, and the bounds of the test:

| what | per trial | bound |
|---|---|---|
"""


def page(figures: Mapping[str, Any]) -> str:
    """Return the page for these figures; a part that was not measured says so."""
    parts = [_HEAD, _KILLS, _kills(figures.get("kills")), _FAULTS + _faults(), _left_out()]
    return "\n".join([*parts, _stamp(figures.get("faults"), "rows"), _LONG + _long(figures.get("long"))])


def _stamp(part: Mapping[str, Any] | None, count: str) -> str:
    if part is None:
        return "Not measured yet.\n"
    return (
        f"Measured: {part[count]} {count} in {part['seconds'] / 60:.0f} minutes, seed {part['seed']}, {part['date']}, "
        f"commit {part['commit'][:10]}, {part['machine']}: `{part['command']}`.\n"
    )


def _kills(part: Mapping[str, Any] | None) -> str:
    if part is None:
        return _stamp(part, "kills")
    rows = [("at a random instant", part["by_the_clock"]), *part["places"].items()]
    lines = [f"| {place} | {number} |" for place, number in rows]
    lines.append(f"| **all, of {part['runs']} runs** | **{part['kills']}** |")
    return "\n".join(["| killed | times |", "|---|---|", *lines]) + "\n\n" + _stamp(part, "kills")


def _faults() -> str:
    rows = sorted(ROWS, key=lambda row: (STEPS.index(row.step), FAULTS.index(row.fault)))
    return "".join(f"| {row.step} | {row.fault} | {OUTCOMES[row.outcome]} | {row.says} |\n" for row in rows)


def _left_out() -> str:
    reasons: dict[str, list[str]] = {}
    for (step, fault), why in LEFT_OUT.items():
        reasons.setdefault(why, []).append(f"{step}, {fault}")
    lines = "".join(f"| {'; '.join(sorted(names))} | {why} |\n" for why, names in reasons.items())
    return f"Left out:\n\n| step, fault | because |\n|---|---|\n{lines}"


def _long(part: Mapping[str, Any] | None) -> str:
    lines = "".join(
        f"| {what} | {'' if part is None else format(part['growth'][name], '.3g')} | {bound:.3g} |\n"
        for name, (bound, what) in BOUNDS.items()
    )
    if part is None:
        return lines + "\n" + _stamp(part, "trials")
    first, last = part["samples"][0], part["samples"][-1]
    left = len(part["threads_left"]) + len(part["handles_left"]) + len(part["files_left"])
    return (
        f"{lines}\nAfter {first['trials']} trials and after {last['trials']}: {first['threads']} and {last['threads']} "
        f"threads, {first['handles']} and {last['handles']} open files, {first['rss'] / 1e6:.0f} and "
        f"{last['rss'] / 1e6:.0f} MB of memory; left over once the run was closed: {left} threads, open or temporary "
        f"files.\n\n{_stamp(part, 'trials')}"
    )


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(FIGURES.read_text(encoding="utf-8"))), encoding="utf-8")
