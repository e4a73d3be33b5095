"""``python -m lib_optim`` as a user types it, in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib_optim.__main__ import DEFAULT_PORT, _parser
from lib_optim.plan.run_plan import Budget
from lib_optim.plan.scorers import ScorerSpec
from tests.rig import Rig

ROOT = Path(__file__).resolve().parents[1]


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "lib_optim", "--data", str(folder), "--device", "cpu", *arguments]


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command(folder, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, env=environment
    )  # fmt: skip


@pytest.fixture
def bench(make_rig: Callable[[], Rig]) -> Rig:
    return make_rig()


def write_plan(rig: Rig, **changes: object) -> str:
    path = rig.folder / "plan.json"
    path.write_text(json.dumps(rig.plan(**changes).to_json()))
    return str(path)


def test_run_and_resume(bench: Rig) -> None:
    guide = bench.folder / "guide.yaml"
    guide.write_text("components: {unet: [{type: group, groups: {all: 'IN*, M00, OUT*'}}]}")
    done = call(bench.folder, "run", write_plan(bench), "--guide", str(guide))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == str(bench.folder_of().path)
    assert "All 2 trials are done. Best: trial" in done.stdout
    assert [trial.state for trial in bench.stored().trials] == ["complete", "complete"]
    assert {name for trial in bench.stored().trials for name in trial.values} == {"all_alpha"}
    guide.write_text("components:\n  unet: al")
    done = call(bench.folder, "run", write_plan(bench), "--guide", str(guide))
    assert (done.returncode, "Line 2" in done.stderr) == (1, True), done.stderr
    done = call(bench.folder, "save", bench.folder_of().name, "1", "--dtype", "fp32", "--pruned", "--name", "one")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(bench.models / "optim" / "one.safetensors")
    assert "saved in fp32, the images may differ" in done.stderr
    done = call(bench.folder, "resume", bench.folder_of().name, "--trials", "3")
    assert done.returncode == 0, done.stderr
    assert [trial.state for trial in bench.stored().trials] == ["complete"] * 3
    parent = bench.folder_of().name
    done = call(bench.folder, "fork", parent, "--scorer", "technical=2", "--trials", "1", "--name", "again")
    assert done.returncode == 0, done.stderr
    assert "3 trials taken over without generating anything" in done.stdout
    forked = bench.stored(Path(done.stdout.strip().splitlines()[-1]).name)
    assert [trial.state for trial in forked.trials] == ["complete"] * 4


@contextmanager
def _interrupted(rig: Rig, plan: str, word: str) -> Iterator[subprocess.Popen[str]]:
    """A headless run of `plan` that got a Ctrl+C when its status line said `word`."""
    with subprocess.Popen(
        command(rig.folder, "run", plan), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # a test started in the background hands on that Ctrl+C is to be ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as child:  # fmt: skip
        assert child.stdout is not None
        while word not in (line := child.stdout.readline()):
            assert line, child.communicate()
        child.send_signal(signal.SIGINT)
        yield child


def test_ctrl_c_stops_in_good_order(bench: Rig) -> None:
    with _interrupted(bench, write_plan(bench, budget=Budget(500)), "best") as child:
        out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert "Stopping; the best merge so far is kept" in out
    assert "Stopped by you. Best: trial" in out
    assert err == ""
    assert bench.folder_of().best_recipe.exists()


def test_a_second_ctrl_c_leaves_at_once_and_loses_nothing(bench: Rig) -> None:
    payloads = tuple(dataclasses.replace(p, steps=150, width=256, height=256) for p in bench.plan().payloads)
    with _interrupted(bench, write_plan(bench, payloads=payloads), "merging and generating") as child:
        assert child.stdout is not None
        while "Stopping;" not in child.stdout.readline():
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
    assert child.returncode in (0, 1)
    assert bench.stored().trials[0].state in ("running", "complete")


def test_a_run_that_pauses_ends_because_nobody_is_there_to_continue(bench: Rig) -> None:
    """A prompt that this host refuses only when it generates: five failed trials, then a pause."""
    payloads = tuple(dataclasses.replace(p, prompt="a fox AND a cat") for p in bench.plan().payloads)
    done = call(bench.folder, "run", write_plan(bench, payloads=payloads))
    assert done.returncode == 1
    assert "5 trials in a row failed" in done.stdout
    assert done.stderr.count("optim: Trial") == 5
    assert "resume it when that is mended" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_manual_run_needs_the_tab(bench: Rig) -> None:
    done = call(bench.folder, "run", write_plan(bench, scorers=(ScorerSpec("manual"),)))
    assert done.returncode == 1
    assert "scored by hand" in done.stderr
    assert list(bench.host.paths().outputs.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["run", "nothing.json"], 1, "cannot be read as a plan"),
        (["run", "PLAN"], 1, "The number of trials must lie between 1"),
        (["run", "BROKEN"], 1, "cannot be read as a plan"),
        (["run", "UNKNOWN"], 1, "Did you mean 'models'?"),
        (["resume", "nothing"], 1, "There is no run 'nothing'"),
        (["fork", "nothing"], 1, "There is no run 'nothing'"),
        (["run", "PLAN", "--shared", "study.db"], 1, "'study.db' is no URL of a shared study"),
        (["fork"], 2, "the following arguments are required: folder"),
        (["run"], 2, "the following arguments are required: plan"),
        (["walk"], 2, "invalid choice"),
        (["run", "x", "--prot"], 2, "unrecognized arguments"),
        (["resume", "x", "--trials", "many"], 2, "invalid int value"),
    ],
)
def test_wrong_input_is_a_sentence_and_a_status(bench: Rig, arguments: list[str], status: int, sentence: str) -> None:
    files = {
        "PLAN": bench.plan(budget=Budget(0)).to_json(),
        "UNKNOWN": {**bench.plan().to_json(), "modles": []},
    }
    for name, content in files.items():
        (bench.folder / name).write_text(json.dumps(content))
    (bench.folder / "BROKEN").write_text('{"name": ')
    paths = [str(bench.folder / a) if a.isupper() else a for a in arguments]
    done = call(bench.folder, *paths)
    assert done.returncode == status, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert list(bench.host.paths().outputs.iterdir()) == []


@pytest.mark.parametrize(
    "words", [("--port", "7890", "--no-browser", "tab"), ("tab", "--port", "7890", "--no-browser")]
)
def test_options_of_the_tab_count_before_and_after_its_name(words: tuple[str, ...]) -> None:
    options = _parser().parse_args(words)
    assert (options.port, options.no_browser, options.command) == (7890, True, "tab")
    plain = _parser().parse_args(["tab"])
    assert (plain.port, plain.no_browser) == (DEFAULT_PORT, False)
