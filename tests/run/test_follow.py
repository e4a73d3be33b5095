"""A run and a queue followed in a terminal, and the queue of the command line."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_optim.plan.errors import OptimError, PlanError, RunError
from lib_optim.run.follow import ProgressLine, watch_queue
from lib_optim.run.queue_command import queue_from
from tests.run.test_queue import template
from tests.ui.fake import FakeManager


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeManager]:
    made = FakeManager(tmp_path, image_seconds=0.001)
    yield made
    made.close()


SNAPSHOT = {
    "progress": {
        "trial": 3, "trials": 10, "image": 2, "images": 4, "phase": "search", "eta_seconds": 65,
        "images_done": 10, "images_all": 40,
    },
    "best": {"value": 0.5, "trial": 1},
    "sentence": "Trial 3: merging and generating.",
}  # fmt: skip


@pytest.mark.parametrize("terminal", [True, False])
def test_the_line_says_how_far_it_is(terminal: bool) -> None:
    stream = io.StringIO()
    line = ProgressLine(stream, terminal)
    line.draw(SNAPSHOT)
    line.close()
    text = stream.getvalue()
    assert "trial 3/10 · image 2/4 · search · best 0.5 (trial 1) · 00:01:05 left · Trial 3" in text
    assert (" 25% |" in text, "10/40 images" in text) == (terminal, terminal)  # a bar where one can be drawn
    assert text.endswith("\n")


def options(files: list[Path], plan: Path | None = None, check: bool = False) -> argparse.Namespace:
    return argparse.Namespace(files=files, plan=plan, check=check)


def test_lines_from_a_file_run_one_after_another(
    fake: FakeManager, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, plan = tmp_path / "lines.txt", tmp_path / "plan.json"
    lines.write_text("one + dreamlike_v6 = two\naurora_v2 + meadow = one\n")
    plan.write_text(json.dumps(template(fake).to_json()))
    seen: list[str] = []

    def refuse(plan_: object) -> None:
        seen.append(getattr(plan_, "name", ""))

    given = queue_from(fake, options([lines], plan, check=True), refuse)  # type: ignore[arg-type]
    assert given == ["aurora_v2 + meadow = one", "one + dreamlike_v6 = two"]
    assert seen == ["one", "two"]
    assert not (fake.host.paths().data / "queues").exists()  # --check keeps nothing
    assert queue_from(fake, options([lines], plan), refuse) == given  # type: ignore[arg-type]
    fake.queue.go_on()
    assert watch_queue(fake) == 0  # type: ignore[arg-type]
    out = capsys.readouterr().out.splitlines()
    assert [row.split()[:2] for row in out[-2:]] == [["done", "one"], ["done", "two"]]
    assert out[-1].endswith("two.safetensors")
    # the same command again has nothing left; another one under its name begins a queue anew
    assert queue_from(fake, options([lines], plan), refuse) == []  # type: ignore[arg-type]
    lines.write_text("two + meadow = three")
    assert queue_from(fake, options([lines], plan), refuse) == ["two + meadow = three"]  # type: ignore[arg-type]
    lines.write_text("two + meadow = four")
    with pytest.raises(RunError, match="was left with other runs in it"):
        queue_from(fake, options([lines], plan), refuse)  # type: ignore[arg-type]


def test_plan_files_run_one_after_another_and_all_are_checked_first(fake: FakeManager, tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for path in files:
        path.write_text(json.dumps(template(fake, name=path.stem).to_json()))
    given = queue_from(fake, options(files), lambda _: None)  # type: ignore[arg-type]
    assert [line.split(":")[0] for line in given] == ["a", "b"]
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(template(fake, "aurora_v2", "gone", name="bad").to_json()))
    with pytest.raises(PlanError, match=r"bad: .*gone"):
        queue_from(fake, options([broken, *files]), lambda _: None)  # type: ignore[arg-type]
    lines = tmp_path / "lines.txt"
    lines.write_text("a + b = c")
    with pytest.raises(OptimError, match="needs --plan"):
        queue_from(fake, options([lines]), lambda _: None)  # type: ignore[arg-type]
