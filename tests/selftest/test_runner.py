"""What a self-test leaves behind, refuses, and says: also when a check fails or raises."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import RunError
from lib_optim.selftest import STATEMENTS, SelftestReport, report_text, rows, run_selftest, runner
from lib_optim.selftest.bench import Bench, Failed, Skipped
from lib_optim.selftest.rows import Row


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "optim-selftest" in path.name)


def write_and_leave(bench: Bench) -> None:
    """A check that breaks off inside live weights, with every kind of file made."""
    bench.variant()
    with contextlib.suppress(Skipped):
        bench.lora_job()
    with bench.session() as session, bench.exclusive(), session.live_weights() as live:
        bench.write(live, 1.0)
        raise ZeroDivisionError("a mistake in a check")


def wreck_the_model(bench: Bench) -> None:
    """A check that leaves the model changed and says that all is well."""
    with bench.exclusive():
        tensor = max(bench.probe.live_tensors().values(), key=lambda t: t.numel())
        tensor.data.copy_(tensor.detach().clone().neg())


def fail(bench: Bench) -> None:
    raise Failed("it does not hold")


def skip(bench: Bench) -> None:
    raise Skipped("not here")


def only(monkeypatch: pytest.MonkeyPatch, *checks: Callable[[Bench], str | None]) -> None:
    monkeypatch.setattr(runner, "rows", lambda: tuple(Row(n + 1, "", check) for n, check in enumerate(checks)))


@pytest.mark.parametrize("kind", ["a1111", "forge"])
def test_a_check_that_raises_leaves_nothing(
    kind: str, make_host: Callable[[str], Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make_host(kind)
    with host.exclusive():
        host.load(host.checkpoints()[0])
    state = host.state()
    only(monkeypatch, write_and_leave, lambda bench: None, fail, skip)
    report = run_selftest(host)
    assert [o.status for o in report.outcomes] == ["failed", "passed", "failed", "skipped"]
    assert report.outcomes[0].detail.startswith("ZeroDivisionError: a mistake in a check (test_runner.py:")
    assert not files(tmp_path)
    assert host.state() == state
    with host.exclusive(lambda: True):
        pass


@pytest.mark.parametrize("kind", ["standalone", "a1111", "forge"])
def test_a_check_that_wrecks_the_model_is_red_and_mended(
    kind: str, make_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    compare: list[dict[str, int]] = []
    only(monkeypatch, lambda b: compare.append(b.weights()), wreck_the_model, lambda b: compare.append(b.weights()))
    report = run_selftest(make_host(kind))
    assert [o.status for o in report.outcomes] == ["passed", "failed", "passed"]
    assert "The model was left changed: 1 of" in report.outcomes[1].detail
    assert compare[0] == compare[1]


def test_a_model_that_cannot_be_mended_ends_the_test(
    make_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, wreck_the_model, lambda bench: None)
    monkeypatch.setattr(Bench, "back_to_base", lambda self: None)
    monkeypatch.setattr(Bench, "new_model", lambda self: None)
    report = run_selftest(make_host("a1111"))
    assert [o.status for o in report.outcomes] == ["failed", "skipped"]
    assert "reload your checkpoint" in report.outcomes[1].detail


def test_leftovers_of_a_killed_self_test_are_removed(
    make_host: Callable[[str], Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make_host("a1111")
    loras = host.paths().loras
    assert loras is not None
    for folder in (host.paths().models, loras):
        (folder / "optim-selftest-old.safetensors").write_bytes(b"old")
    only(monkeypatch, fail)
    run_selftest(host)
    assert not files(tmp_path)


def test_no_checkpoint_is_said(tmp_path: Path) -> None:
    from lib_optim.hosts.standalone import StandaloneHost

    report = run_selftest(StandaloneHost(tmp_path, tmp_path / "none"))
    assert {o.status for o in report.outcomes} == {"skipped"}
    assert "has no checkpoint" in report.outcomes[0].detail


def test_a_full_disk_skips_what_needs_files(make_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    report = run_selftest(make_host("a1111"), only={2, 3})
    assert [o.status for o in report.outcomes] == ["passed", "skipped"]
    assert "are free" in report.outcomes[1].detail


def test_one_at_a_time_and_never_beside_a_run(
    make_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make_host("a1111")
    entered, leave = threading.Event(), threading.Event()

    def wait(bench: Bench) -> None:
        entered.set()
        leave.wait(30)

    only(monkeypatch, wait)
    reports: list[SelftestReport] = []
    thread = threading.Thread(target=lambda: reports.append(run_selftest(host)))
    thread.start()
    assert entered.wait(30)
    with pytest.raises(RunError, match="going on already"):
        run_selftest(host)
    leave.set()
    thread.join()
    assert reports[0].outcomes[0].status == "passed"

    from lib_optim.run import singleton

    class Busy:
        active = True

    monkeypatch.setattr(singleton, "_manager", Busy())
    with pytest.raises(RunError, match="A run is going on"):
        run_selftest(host)


def test_the_report_goes_into_an_issue(make_host: Callable[[str], Host], tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    report = run_selftest(make_host("a1111"), lambda *now: seen.append(now), only={1, 5, "7 mid-write", 16, 29})
    assert {o.number for o in report.outcomes} == {1, 5, 7, 16, 29}
    assert [o.part for o in report.of(7)] == ["mid-write"]
    text = report_text(report)
    assert "AUTOMATIC1111" in text
    assert STATEMENTS[1] in text
    for private in (str(tmp_path), "/tmp", str(Path.home()), "a photo of a cat", "a.safetensors"):
        assert private not in text, private
    assert SelftestReport.from_json(json.loads(json.dumps(report.to_json()))) == report
    assert seen[0] == ("images of the untouched model", 0, len(report.outcomes))
    assert [done for _, done, _ in seen[1:]] == list(range(len(report.outcomes)))


def test_the_table_has_every_statement_once() -> None:
    table = rows()
    assert {row.number for row in table} == set(range(1, 31))
    assert len({row.name for row in table}) == len(table)
    assert [row.number for row in table] == sorted(row.number for row in table)


def test_importing_it_costs_nothing() -> None:
    import subprocess

    code = "import lib_optim.selftest, sys; assert not {'torch', 'gradio', 'sd_mecha', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
