"""CI's share of the fuzzing: 2,000 inputs, the same in every run. The long command is ``python -m tests.fuzz``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.campaign import counts, fuzzed, quiet
from tests.fuzz.harness import Watch, sentence_problem
from tests.fuzz.lab import Lab, lab
from tests.fuzz.targets import Target, targets

INPUTS = 2_000
NAMES = (
    "guide file", "block map", "recipe", "table of trials", "infotext", "weight string", "merge metadata", "bound",
    "A + B lines",
    "wildcards", "plan file", "payload file", "checkpoint header", "LoRA file", "picture", "weights of a judge",
    "taste file", "zip archive", "database", "form", "plan over the API", "JSON API", "raw request", "addresses",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Watch]]:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "lab").mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        with lab(folder / "lab", demo_models) as found:
            yield found, Watch(folder)
    finally:
        tempfile.tempdir = before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_bad_inputs_are_read_or_refused_in_a_sentence(name: str, made: tuple[Lab, Watch]) -> None:
    rows = targets(made[0])
    assert tuple(row.name for row in rows) == NAMES
    row = next(row for row in rows if row.name == name)
    with quiet():
        outcome = fuzzed(row, made[1], counts(rows, INPUTS)[name], 1)
    assert outcome.inputs >= counts(rows, INPUTS)[name] * 0.9
    assert [f"{which}\n{finding.kind}: {finding.text}" for which, finding in outcome.findings.values()] == []


def test_every_input_comes_again_from_its_number(made: tuple[Lab, Watch]) -> None:
    for row in targets(made[0]):
        assert [row.input(7, number) for number in (0, 20, 21)] == [row.input(7, number) for number in (0, 20, 21)]


def planted(fault: object) -> Target:
    def feed(_: object) -> None:
        if isinstance(fault, BaseException):
            raise fault
        if callable(fault):
            fault()

    return Target("planted", 1, ("x",), lambda text, rng: text, feed)


def test_the_watch_finds_what_is_planted(made: tuple[Lab, Watch], tmp_path: Path) -> None:
    """Otherwise no findings would mean nothing."""
    from lib_optim.plan.errors import StoreError

    outside = tmp_path / "outside.txt"
    faults = {
        "KeyError": KeyError("x"),
        "sentence": StoreError(""),
        "forbidden": lambda: outside.write_text("x"),
        "hang": _hang,
    }
    for kind, fault in faults.items():
        outcome = fuzzed(planted(fault), made[1], 1, 0)
        assert [finding.kind for _, finding in outcome.findings.values()] == [kind]
    assert fuzzed(planted(StoreError("All is said.")), made[1], 1, 0).found == 0


def _hang() -> None:
    import signal

    signal.setitimer(signal.ITIMER_REAL, 0.05)  # instead of the usual patience
    while True:
        pass


def test_a_sentence_is_looked_at() -> None:
    assert sentence_problem("The file is broken; get a fresh copy.") == ""
    for text in ("", 'File "x.py", line 3', "a\0b", "\ud800", "x" * 5000):
        assert sentence_problem(text)
