"""The user's own method files: listed with their parameters, merged with, read again, and harmless when broken."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch

from lib_optim.merging import user_methods
from lib_optim.merging.mecha import merge_registry
from lib_optim.merging.methods import excluded_methods, merge_method, merge_methods
from lib_optim.merging.user_methods import UserFile, load_user_methods, user_files, user_method
from lib_optim.plan.errors import PlanError
from tests.merging.conftest import Sink, guide, open_merger, random_values

PAGE = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
EXAMPLE = next(re.finditer(r"```python\n(.*?)```", PAGE, re.DOTALL))[1]
HEAD = "from sd_mecha import Parameter, Return, merge_method\nfrom torch import Tensor\n"
FADE = (
    HEAD
    + "@merge_method\ndef fade(a: Tensor, b: Tensor, share: float = 0.5) -> Tensor:\n    return a + (b - a) * share\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; what is read from it goes with it."""
    before = set(merge_registry())
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        path.unlink()
    load_user_methods(tmp_path, refresh=True)
    assert set(merge_registry()) == before, "methods were left behind"


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(0, len(text) * 10**9))  # another text of the same moment must be seen
    return path


def load(folder: Path, text: str, name: str = "mine.py") -> UserFile:
    put(folder, name, text)
    return next(file for file in load_user_methods(folder, refresh=True) if file.path.name == name)


def test_the_example_of_the_documentation(folder: Path, checkpoints: Mapping[str, list[Path]]) -> None:
    file = load(folder, EXAMPLE)
    assert file.problem == ""
    method = merge_method("pick_by_size")
    assert method.title == "Pick by size"
    assert method.formula.startswith("A and B mixed weight by weight")
    assert (method.min_models, method.max_models) == (2, 2)
    assert [(p.name, p.kind, p.default, str(p.bound), p.searched) for p in method.parameters] == [
        ("alpha", "float", 0.5, "0..1", True),
        ("sharpness", "int", 2, "1..8 int", True),
        ("mode", "str", "larger", "{larger, smaller}", False),
    ]
    every = ("alpha", "sharpness", "mode")
    merger = open_merger("pick_by_size", checkpoints["sd1"][:2], plan=guide("text_encoder", parameters=every))
    assert not merger.slow
    values = random_values(merger.space, 1)
    assert values["BASE_mode"] in ("larger", "smaller")
    sink = Sink(merger.keys)
    merger.write({**values, "BASE_mode": "larger"}, sink)
    (key, *_) = merger.keys
    a, b = (source.view(key).double() for source in merger._sources)
    x = a.abs() ** values["BASE_sharpness"] * (1 - values["BASE_alpha"])
    y = b.abs() ** values["BASE_sharpness"] * values["BASE_alpha"]
    assert torch.allclose(sink.tensors[key].double(), a + (b - a) * y / (x + y), atol=1e-5)
    assert 'merge "pick_by_size"' in merger.recipe(values).text
    merger.close()


def test_a_changed_file_is_read_again_and_one_that_is_gone_goes(folder: Path) -> None:
    assert list(load(folder, FADE).methods) == ["fade"]
    assert str(merge_method("fade").parameters[0].bound) == "=0.5"
    assert merge_method("fade").title == "Fade"
    put(folder, "mine.py", FADE + 'BOUNDS = {"share": "0..2"}\n')
    load_user_methods(folder)
    assert str(merge_method("fade").parameters[0].bound) == "=0.5", "not while a run may go on"
    load_user_methods(folder, refresh=True)
    assert str(merge_method("fade").parameters[0].bound) == "0..2"
    assert merge_method("fade").parameters[0].searched
    same = merge_registry()["fade"]
    load_user_methods(folder, refresh=True)
    assert merge_registry()["fade"] is same, "an unchanged file is not read again"
    (folder / "mine.py").unlink()
    load_user_methods(folder, refresh=True)
    with pytest.raises(PlanError, match="no merge method 'fade'"):
        merge_method("fade")
    assert user_method("fade") is None
    assert folder.resolve() not in {file.path.parent for file in user_files()}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def broken(:\n", "mine.py cannot be used: line 1 is no valid Python (invalid syntax)."),
        ("x = 1\n\ny = x / 0\n", "mine.py cannot be used: ZeroDivisionError: division by zero (line 3)."),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module' (line 1)."),
        ("x = 1\n", "mine.py registers no method; put @merge_method above a function."),
        (FADE.replace("fade", "weighted_sum"), "another merge method named weighted_sum is already registered; choose"),
        (FADE.replace("fade", "sum_twice"), "Optim has a method 'sum_twice' already; choose another name."),
        (
            "from __future__ import annotations\n" + FADE,
            "after 'from __future__ import annotations'; remove that line.",
        ),
        (FADE + 'BOUNDS = {"share": "0..0.2"}', "the default 0.5 of 'share' lies outside its bound 0..0.2."),
        (FADE + 'BOUNDS = {"share": "1..0"}', "'1..0' cannot be used: the lower end 1 is not below the upper end 0."),
        (FADE + 'BOUNDS = {"fade": {"shade": "0..1"}}', "fade has no parameter 'shade' with a default"),
        (FADE + "BOUNDS = 3", "BOUNDS must be a dictionary"),
        (FADE + "raise SystemExit(1)", "mine.py cannot be used: SystemExit: 1 (line 6)."),
        ("\x00", "mine.py cannot be used"),
    ],
)
def test_a_broken_file_has_its_sentence_and_harms_nothing(folder: Path, text: str, sentence: str) -> None:
    before = merge_registry()
    good = load(folder, FADE.replace("fade", "good"), "good.py")
    file = load(folder, text)
    assert sentence in file.problem, file.problem
    assert file.problem.endswith(".")
    assert file.methods == {}
    assert merge_registry().keys() == {*before, "good"}
    assert merge_registry()["weighted_sum"] is before["weighted_sum"]
    assert good.problem == ""
    assert load(folder, FADE).problem == "", "mended, it works"


def test_files_do_not_see_each_other_and_names_with_a_bar_are_left_out(folder: Path) -> None:
    put(folder, "_helper.py", "raise ValueError('not to be read')")
    first = load(folder, FADE + "SECRET = 1\n", "a.py")
    second = load(folder, FADE.replace("fade", "fade2") + "assert 'SECRET' not in globals()\n", "b.py")
    third = load(folder, FADE, "c.py")
    assert [first.problem, second.problem] == ["", ""]
    assert "named fade is already registered" in third.problem
    assert [file.path.name for file in load_user_methods(folder)] == ["a.py", "b.py", "c.py"]
    assert not (folder / "__pycache__").exists()


def test_two_methods_of_one_file_with_ranges_of_their_own(folder: Path) -> None:
    bounds = 'BOUNDS = {"share": "0..1", "fade2": {"share": "{0.25, 0.5}"}}\n'
    load(folder, FADE + FADE.replace("fade", "fade2") + bounds)
    assert [str(merge_method(name).parameters[0].bound) for name in ("fade", "fade2")] == ["0..1", "{0.25, 0.5}"]


def test_a_difference_and_one_that_merges_nothing(folder: Path) -> None:
    half = (
        '@merge_method\ndef halved(d: Parameter(Tensor, "delta")) -> Return(Tensor, "delta"):\n'
        '    """Half of it.\n\n    A + alpha·(B − A)/2\n    """\n    return d / 2\n'
        "@merge_method\ndef needs_word(a: Tensor, b: Tensor, word: str) -> Tensor:\n    return a\n"
    )
    load(folder, HEAD + half)
    method = merge_method("halved")
    assert (method.title, method.formula, method.min_models) == ("Half of it", "A + alpha·(B − A)/2", 2)
    assert "needs_word" not in {row.id for row in merge_methods()}
    assert excluded_methods()["needs_word"] == "It needs 'word', which is no model."


def test_a_reload_of_the_program_s_own_modules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A WebUI's "Reload UI" may forget what was read, while sd-mecha keeps what was registered."""
    load(folder, FADE)
    first = merge_registry()["fade"]
    monkeypatch.setattr(user_methods._folder, "files", {})
    assert [file.problem for file in load_user_methods(folder)] == [""]
    assert merge_registry()["fade"] is not first


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert load_user_methods(tmp_path / "none") == ()
