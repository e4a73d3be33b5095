"""The suite on every host there is: nothing red, and nothing skipped but what that host cannot do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib_optim.hosts.base import Host
from lib_optim.selftest import STATEMENTS, SelftestReport, report_text, run_selftest

BROWSER = {"8 page reload", "8 UI reload"}
LORA = {"4 with a LoRA", "10", "11 LoRA before, none during", "11 none before, LoRA during", "12"}
VAE = {"13", "13 merging the VAE under it"}
KEPT = {"26 between trials", "26 a paused run"}
SKIPPED = {
    "standalone": BROWSER | LORA | VAE | KEPT | {"14", "22 main thread", "24", "28 live preview", "30 settings"},
    "a1111": BROWSER | {"14", "22 main thread"},
    "forge": BROWSER | KEPT | {"14"},
}
SKIPPED["a1111-xl"], SKIPPED["forge-xl"] = SKIPPED["a1111"] | LORA, SKIPPED["forge"] | LORA


def files(folder: Path) -> list[Path]:
    """All files but those that a host itself writes: its hash cache, and the prompt of a client's latest image."""
    return sorted(p for p in folder.rglob("*") if "cache" not in p.parts and p.name != "params.txt")


def names(report: SelftestReport, status: str) -> set[str]:
    return {f"{o.number} {o.part}".strip() for o in report.outcomes if o.status == status}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["standalone", "a1111", "forge"])
def test_every_statement_holds(kind: str, make_host: Callable[[str], Host], tmp_path: Path) -> None:
    host = make_host(kind)
    with host.exclusive():
        host.load(host.checkpoints()[0])
    before = files(tmp_path)
    state = host.state()
    seen: list[tuple[str, int, int]] = []
    report = run_selftest(host, lambda text, done, total: seen.append((text, done, total)))
    print(report_text(report))
    assert not report.failed, report_text(report)
    assert names(report, "skipped") == SKIPPED[kind]
    assert {outcome.number for outcome in report.outcomes} == set(STATEMENTS) == set(range(1, 31))
    assert host.state() == state
    assert files(tmp_path) == before
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1] == seen[-1][2] - 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["a1111-xl", "forge-xl"])
def test_weights_of_sdxl(kind: str, make_host: Callable[[str], Host]) -> None:
    report = run_selftest(make_host(kind), only=range(1, 16))
    assert not report.failed, report_text(report)
    assert names(report, "skipped") <= SKIPPED[kind]
