"""The user's own scorer files: listed, judging, read again, and harmless when broken."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_optim.plan.errors import PlanError, ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.base import ImageContext, Scorer
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.combine import mapped
from lib_optim.scoring.registry import scorer_row, scorer_rows
from lib_optim.scoring.user_scorers import ScorerFile, load_user_scorers, user_scorer_files
from lib_optim.scoring.worker import ScoringWorker
from tests.scoring.pictures import MODES, SIZES, of_mode, scene

PAGE = (Path(__file__).parents[2] / "docs" / "own-scorers.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
WIDTHS = "def score(images, prompts):\n    return [image.width for image in images]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; what is read from it goes with it."""
    before = scorer_rows()
    place = tmp_path / "scorers"
    place.mkdir()
    yield place
    for path in place.glob("*.py"):
        path.unlink()
    load_user_scorers(place, refresh=True)
    assert scorer_rows() == before, "scorers were left behind"


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(0, len(text) * 10**9))  # another text of the same moment must be seen
    return path


def load(folder: Path, text: str, name: str = "mine.py") -> ScorerFile:
    put(folder, name, text)
    return next(file for file in load_user_scorers(folder, refresh=True) if file.path.name == name)


def built(folder: Path, text: str, **options: Any) -> Scorer:
    file = load(folder, text)
    assert file.problem == ""
    scorer = scorer_row("own-mine").build(options, folder)
    scorer.load("cpu")
    return scorer


def blue(share: float) -> Image.Image:
    return Image.new("RGB", (32, 48), (50, 50, round(50 + 205 * share)))


def test_the_first_example_of_the_documentation(folder: Path) -> None:
    scorer = built(folder, EXAMPLES[0])
    row = scorer_row("own-mine")
    assert (row.title, row.measures) == ("Blue sky", "How blue the upper third of the picture is.")
    assert "Blue walls" in row.fooled_by
    assert (row.reads_prompt, row.typical, row.devices) == (False, (0.0, 0.4), ("cpu",))
    assert [(o.name, o.title, o.kind, o.default) for o in row.options] == [
        ("strength", "Strength", "number", 1.0),
        ("only_daylight", "Only daylight", "bool", False),
    ]
    scores = scorer.score([blue(0), blue(0.5), blue(1)], ["", "", ""])
    assert scores == pytest.approx([0, 102 / 255, 205 / 255], abs=0.002)
    assert row.build({"strength": 2.0}, folder).score([blue(1)], [""])[0] == pytest.approx(2 * scores[2])
    assert row.build({"only_daylight": True}, folder).score([Image.new("RGB", (9, 9), (0, 0, 90))], [""]) == [0.0]
    assert mapped("own-mine", 0.2) == pytest.approx(0.5)


def test_the_second_example_is_a_class_with_weights(folder: Path) -> None:
    scorer = built(folder, EXAMPLES[1], side=8)
    assert scorer_row("own-mine").title == "Plain pictures"
    image = scene(64)
    mirrored = np.concatenate([np.asarray(image)[:, ::-1], np.asarray(image)], axis=1)
    calm, wild = scorer.score([Image.fromarray(mirrored), image], ["", ""])
    assert calm > wild
    scorer.unload()
    scorer.unload()
    with pytest.raises(ScorerError, match="Plain pictures was asked for a score before it was loaded"):
        scorer.score([image], [""])
    scorer.load("cpu")
    assert scorer.score([image], [""]) == [wild]


def test_a_plan_with_one_is_checked_and_judged_through_the_worker(folder: Path) -> None:
    load(folder, EXAMPLES[0], "blue_sky.py")
    assert scorer_problems(ScorerSpec("own-blue_sky", options={"strength": 1.5}), folder) == []
    (problem,) = scorer_problems(ScorerSpec("own-blue_sky", options={"strenght": 1.5}), folder)
    assert "Did you mean 'strength'" in problem.sentence
    (problem,) = scorer_problems(ScorerSpec("own-blue_sky", device="cuda"), folder)
    assert "runs on the CPU only" in problem.sentence
    got: list[Any] = []
    worker = ScoringWorker([ScorerSpec("own-blue_sky")], folder, lambda *s: got.append(s), lambda *e: got.append(e))
    for i in range(3):
        worker.submit(0, i, blue(i / 2), "")
    assert worker.drain(20)
    worker.close()
    assert [s[:3] for s in got] == [(0, i, "own-blue_sky") for i in range(3)]
    assert [s[3] for s in got] == pytest.approx([0, 0.4, 0.8], abs=0.01)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def broken(:\n", "mine.py cannot be used: line 1 is no valid Python (invalid syntax)."),
        ("x = 1\n\ny = x / 0\n", "mine.py cannot be used: ZeroDivisionError: division by zero (line 3)."),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module' (line 1)."),
        (
            "x = 1\n",
            "mine.py cannot be used: it has no function score(images, prompts) and no class with such a method.",
        ),
        ("score = 3\n", "it has no function score(images, prompts)"),
        ("def score(images): return []\n", "its 'score' takes (images); it must take (images, prompts)."),
        ("def score(a, b, c): return []\n", "its 'score' takes (a, b, c); it must"),
        ("class A:\n def score(self, images): ...\n", "its 'score' takes (images); it must take (images, prompts)."),
        ("class A:\n def score(s, a, b): ...\nclass B(A): ...\n", "it has 2 classes with a method 'score'; leave one"),
        (
            "def score(a, b, *, x): return []\n",
            "its option 'x' needs a default that is a number, a text, True or False",
        ),
        ("def score(a, b, *, x=[]): return []\n", "its option 'x' needs a default"),
        ("def score(a, b, *, x=float('inf')): return []\n", "the default of its option 'x' is not finite."),
        (WIDTHS + "TYPICAL = 3", "TYPICAL must be the scores of bad and of good images, two different numbers, not 3."),
        (WIDTHS + "TYPICAL = (1, 1)", "two different numbers"),
        (WIDTHS + "TYPICAL = (0, float('nan'))", "two different numbers"),
        (WIDTHS + "TITLE = 3", "TITLE must be a text, not 3."),
        (WIDTHS + "READS_PROMPT = 'no'", "READS_PROMPT must be True or False, not 'no'."),
        (WIDTHS + "ACROSS = 1", "ACROSS must be True or False, not 1."),
        (WIDTHS + "DEVICES = ('tpu',)", "DEVICES must name 'cpu', 'cuda' or both"),
        (WIDTHS + "raise SystemExit(1)", "mine.py cannot be used: SystemExit: 1 (line 3)."),
        ("\x00", "mine.py cannot be used"),
    ],
)
def test_a_broken_file_has_its_sentence_and_harms_nothing(folder: Path, text: str, sentence: str) -> None:
    before = set(sys.modules)
    good = load(folder, WIDTHS, "good.py")
    file = load(folder, text)
    assert sentence in file.problem, file.problem
    assert file.problem.endswith(".")
    assert file.row is None
    assert good.problem == ""
    assert [row.id for row in scorer_rows() if row.id.startswith("own-")] == ["own-good"]
    with pytest.raises(PlanError) as caught:
        scorer_row("own-mine")
    assert str(caught.value) == file.problem
    (problem,) = scorer_problems(ScorerSpec("own-mine"), folder)
    assert problem.sentence == file.problem
    assert load(folder, WIDTHS).problem == "", "mended, it works"
    assert {name for name in set(sys.modules) - before if "own-" in name} == set()


def test_a_name_that_cannot_be_an_id(folder: Path) -> None:
    assert load(folder, WIDTHS, "my judge (2).py").problem == (
        "my judge (2).py cannot be used: its name may hold letters, digits, - and _ only."
    )


def test_one_that_is_not_there_is_told_from_a_word_that_is_none() -> None:
    with pytest.raises(PlanError, match=r"file gone\.py of your own, which is not in the folder of your scorers"):
        scorer_row("own-gone")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return [1]", "Mine gave 1 scores for 2 images"),
        ("return [1, 2, 3]", "Mine gave 3 scores for 2 images"),
        ("return None", "Mine gave None for 2 images from image 3 of payload 'p' with seed 5 on, which is no list"),
        ("return 3.0", "Mine gave 3.0 for 2 images"),
        ("return 'ab'", "Mine gave 'ab' for 2 images"),
        ("return {0: 1, 1: 2}", "Mine gave {0: 1, 1: 2} for 2 images"),
        ("return [1, float('nan')]", "Mine gave nan for image 4 of payload 'p' with seed 6, which is no score"),
        ("return [float('-inf'), 1]", "Mine gave -inf for image 3"),
        ("return [None, 1]", "Mine gave None for image 3"),
        ("return [True, 1]", "Mine gave True for image 3"),
        ("return ['7', 1]", "Mine gave '7' for image 3"),
        ("return 1 / 0", "Mine failed on 2 images from image 3 of payload 'p' with seed 5 on: ZeroDivisionError"),
        ("raise SystemExit", r"Mine failed on 2 images .*: SystemExit \(line 2\)"),
        ("raise MemoryError()", r": MemoryError \(line 2\)"),
    ],
)
def test_an_answer_that_is_none_has_its_sentence(folder: Path, body: str, words: str) -> None:
    scorer = built(folder, f"def score(images, prompts):\n    {body}\n")
    contexts = [ImageContext("p", 5, 2), ImageContext("p", 6, 3)]
    with pytest.raises(ScorerError, match=words) as caught:
        scorer.score([scene(8), scene(9)], ["", ""], contexts)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "class A:\n def __init__(self): 1 / 0\n def score(s, a, b): ...",
            r"A can't be loaded: ZeroDivisionError.*line 2",
        ),
        ("class A:\n def load(self, d): raise OSError('no file')\n def score(s, a, b): ...", "OSError: no file"),
    ],
)
def test_a_class_that_does_not_load(folder: Path, text: str, words: str) -> None:
    assert load(folder, "TITLE = 'A'\n" + text.replace("\n def", "\n def")).problem == ""
    with pytest.raises(ScorerError, match=words.replace("line 2", "line 3")):
        scorer_row("own-mine").build({}, folder).load("cpu")


def test_arrays_tensors_and_their_numbers_are_taken(folder: Path) -> None:
    for text in ("numpy.array([1, 2])", "torch.tensor([1., 2.])", "list(numpy.float32([1, 2]))", "(1, 2)"):
        scorer = built(folder, f"import numpy, torch\ndef score(images, prompts):\n    return {text}\n")
        scores = scorer.score([scene(8), scene(9)], ["", ""])
        assert scores == [1.0, 2.0]
        assert [type(v) for v in scores] == [float, float]
    assert scorer.score([], []) == []


@pytest.mark.parametrize("mode", MODES)
def test_the_code_gets_copies_in_rgb_of_any_picture(folder: Path, mode: str) -> None:
    text = (
        "def score(images, prompts):\n    sizes = [i.width + 1000 * i.height for i in images if i.mode == 'RGB']\n"
        "    for image in images:\n        image.paste((1, 2, 3), (0, 0, *image.size))\n    return sizes\n"
    )
    scorer = built(folder, text)
    for size in SIZES:
        image = of_mode(scene(*size), mode)
        before = image.tobytes()
        assert scorer.score([image], ["a " * 500]) == [size[0] + 1000 * size[1]]
        assert image.tobytes() == before
    with pytest.raises(ScorerError, match="has no pixels"):
        scorer.score([Image.new("RGB", (0, 0))], [""])


def test_prompts_and_contexts_arrive(folder: Path) -> None:
    text = "def score(images, prompts, contexts):\n    return [len(p) + c.seed for p, c in zip(prompts, contexts)]\n"
    scorer = built(folder, text)
    assert scorer.score([scene(8)] * 2, ["", "cat"], [ImageContext("p", 5, 0), ImageContext("p", 9, 1)]) == [5.0, 12.0]
    assert scorer_row("own-mine").options == ()


def test_one_that_compares_gets_a_whole_payload(folder: Path) -> None:
    text = "ACROSS = True\ndef score(images, prompts):\n    return [i.width - images[0].width for i in images]\n"
    load(folder, text)
    got: list[Any] = []
    worker = ScoringWorker([ScorerSpec("own-mine")], folder, lambda *s: got.append(s), lambda *e: got.append(e))
    assert worker.comparing == {"own-mine"}
    group = [(i, scene(8 + i), "", ImageContext("p", i, i)) for i in range(3)]
    for i, image, prompt, context in group:
        worker.submit(0, i, image, prompt, context)
    worker.submit_together(0, group)
    assert worker.drain(20)
    worker.close()
    assert got == [(0, i, "own-mine", float(i)) for i in range(3)]


def test_a_changed_file_is_read_again_and_one_that_is_gone_goes(folder: Path) -> None:
    load(folder, WIDTHS)
    first = scorer_row("own-mine")
    put(folder, "mine.py", WIDTHS + "TITLE = 'Wide'\n")
    load_user_scorers(folder)
    assert scorer_row("own-mine") is first, "not while a run may go on"
    load_user_scorers(folder, refresh=True)
    assert scorer_row("own-mine").title == "Wide"
    again = scorer_row("own-mine")
    load_user_scorers(folder, refresh=True)
    assert scorer_row("own-mine") is again, "an unchanged file is not read again"
    (folder / "mine.py").unlink()
    load_user_scorers(folder, refresh=True)
    assert folder.resolve() not in {file.path.parent for file in user_scorer_files()}


def test_files_do_not_see_each_other_and_names_with_a_bar_are_left_out(folder: Path) -> None:
    put(folder, "_helper.py", "raise ValueError('not to be read')")
    load(folder, WIDTHS + "SECRET = 1\n", "a.py")
    load(folder, WIDTHS + "assert 'SECRET' not in globals()\n", "b.py")
    files = load_user_scorers(folder)
    assert [(file.path.name, file.problem) for file in files] == [("a.py", ""), ("b.py", "")]
    assert not (folder / "__pycache__").exists()
    assert load_user_scorers(folder / "none") == ()
