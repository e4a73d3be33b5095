"""What fuzzing found, an input each, small: none of it may come back."""

from __future__ import annotations

import io
import json
import math
import re
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from lib_optim.merging.graph_reader import read_graph
from lib_optim.plan.blocks import block_map
from lib_optim.plan.errors import OptimError, PlanError, Problem, RunError, StoreError
from lib_optim.plan.guide_file import read_guide
from lib_optim.plan.own_maps import read_block_map
from lib_optim.plan.start_tables import starts_of_table
from lib_optim.plan.weight_records import weights_of_infotext
from lib_optim.plan.wildcards import Wildcards
from lib_optim.run.archive import import_run
from lib_optim.run.folder import RunFolder, file_name, is_file, is_plain_name
from lib_optim.run.rows import json_of
from lib_optim.run.store import Store
from tests.run.test_archive import filled, packed
from tests.ui.conftest import client, manager  # noqa: F401 (fixtures)

_OURS = "trial,pass,state,value,origin,recipe,merge_s,generate_s,score_s,restore_s,reason"


def _map(pattern: str) -> str:
    return f"id: x\narchitecture: sd1\nblocks:\n  - {{name: A, component: unet, keys: ['{pattern}']}}\n"


def _plan(text: str, path: Path) -> None:
    (path / "x").mkdir()
    (path / "x" / "plan.json").write_text(text)
    RunFolder.open(path, "x").read_plan()


TEXTS: dict[str, tuple[Callable[[str, Path], Any], str, str]] = {
    # The parser's time grows with the square of the depth: minutes for a file of 12 kB.
    "deep YAML guide": (lambda text, _: read_guide(text), "components: " + "[" * 12_000, "nested more than 50 deep"),
    "deep YAML map": (lambda text, _: read_block_map(text), "[" * 12_000, "nested more than 50 deep"),
    "YAML of lists": (lambda text, _: read_guide(text), "- " * 12_000, "nested more than 50 deep"),
    "endless number in a guide": (
        lambda text, _: read_guide(text), "components: {unet: all}\nbounds: {IN00: 1e999}", "IN00 is too large",
    ),
    "more cells than columns": (
        lambda text, _: starts_of_table(text, block_map("sd1"), 0, "x"), f"{_OURS}\n1,2", "number of starts",
    ),
    "an open quote in an infotext": (
        lambda text, _: weights_of_infotext(text, block_map("sd1")), 'ModelMixer mbw weights b: "0.5x', "neither",
    ),
    "open braces": (lambda text, path: Wildcards(path).open(text), '{"a":' * 9_000, "more than 50 braces"),
    "a wildcard's long name": (lambda text, path: Wildcards(path).open(text), f"__{'9' * 5_000}__", "wildcard __999"),
    "a recipe's kind of model that is none": (
        lambda text, _: read_graph(text),
        'version 0.1.0\nmodel "a"\nmodel "b" &0\nmerge "weighted_sum" &0 &1 0.5', "no kind that can be read",
    ),
    "a run's long name": (lambda text, path: RunFolder.open(path, text), "x" * 5_000, "There is no run"),
    "a long pattern of a map": (lambda text, _: read_block_map(text), _map("(" * 4_000), "longer than 500"),
    "an endless pattern of a map": (lambda text, _: read_block_map(text), _map("(a+)+$"), "take for ever"),
    "an ambiguous pattern of a map": (lambda text, _: read_block_map(text), _map("(x|x)*y"), "take for ever"),
    "a huge repeat in a map": (lambda text, _: read_block_map(text), _map("a{99999999999}"), "broken pattern"),
    "a deep plan": (_plan, "[" * 100_000, "The plan of x cannot be read"),
    "a deep column": (lambda text, _: json_of(text, "trial 1"), "[" * 100_000, "trial 1 cannot be read"),
}  # fmt: skip


@pytest.mark.timeout(90)  # on two shared cores; what it guards against took minutes
@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    read, text, words = TEXTS[name]
    with pytest.raises(OptimError, match=words) as caught:
        read(text, tmp_path)
    assert len(str(caught.value)) < 2_000


def test_a_row_with_more_cells_than_the_header_is_read() -> None:
    table = starts_of_table(f"{_OURS},IN00_alpha\n0,1,complete,5,,,,,,,,0.5,7,8", block_map("sd1"), 1, "x")
    assert dict(table.points[0].values) == {"IN00_alpha": 0.5}


def test_many_wildcards_in_a_long_prompt_take_no_longer_than_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("y\n")
    assert Wildcards(tmp_path).open("<__x__>" * 20_000 + "__x__" * 20_000)


def test_a_sentence_never_holds_what_cannot_be_shown_or_sent() -> None:
    for odd in ("\0", "\ud800", "\x1b[31m", "\u202e"):
        for error in (StoreError(f"a{odd}b."), PlanError(f"a{odd}b."), PlanError([Problem("x", f"a{odd}b.")])):
            str(error).encode()
            assert odd[0] not in str(error)
    long = str(RunError(f"'{'x' * 100_000}' is no run; choose another."))
    assert len(long) < 1_300
    assert long.endswith("choose another.")


def test_numbers_beyond_every_float_are_problems_and_no_crash() -> None:
    from lib_optim.ui.fields import number, whole

    problems: list[Problem] = []
    assert number(10**400) is None
    assert whole({"seed": 10**400}, "seed", 0, 9, "The seed", problems) == 0
    assert [problem.where for problem in problems] == ["seed"]


def test_an_archive_with_broken_data_or_no_name_is_refused(tmp_path: Path) -> None:
    run = filled(RunFolder.create(tmp_path / "runs", "mix"))
    data = bytearray(packed(run))
    at = data.find(b"plan.json") + 9
    data[at : at + 40] = b"\xff" * 40
    nameless = io.BytesIO()
    with zipfile.ZipFile(nameless, "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"x")
    for bad in (bytes(data), nameless.getvalue()):
        (tmp_path / "x.zip").write_bytes(bad)
        with pytest.raises(RunError):
            import_run(tmp_path / "x.zip", tmp_path / "outputs")
        assert not (tmp_path / "outputs").is_dir() or list((tmp_path / "outputs").iterdir()) == []


def test_a_database_whose_columns_are_no_text_is_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path / "run.db")
    store.add_pass("{}")
    store.close()
    with sqlite3.connect(tmp_path / "run.db") as db:
        db.execute("INSERT INTO trials VALUES (0, 1, 'complete', ?, '', '', 1.0, '', '{}', 0, 0)", (b"\xff\xfe",))
    store = Store(tmp_path / "run.db")
    with pytest.raises(StoreError):
        store.trials()
    store.close()


def test_a_name_that_no_disk_can_hold_is_no_file() -> None:
    assert not is_file(Path("x" * 70_000))
    assert not is_file(Path("a\0b"))


def test_a_pass_without_a_number_is_no_pass(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "run.db") as db:
        db.execute("CREATE TABLE meta (key TEXT, value TEXT)")
        db.execute("INSERT INTO meta VALUES ('schema', '1')")
        db.execute("CREATE TABLE passes (id INTEGER, plan TEXT)")
        db.execute("INSERT INTO passes VALUES (NULL, '{}'), (1, '{}')")
    store = Store(tmp_path / "run.db")
    assert store.passes() == [(1, "{}")]
    store.close()


def test_names_of_runs_are_names_everywhere() -> None:
    for name in ("2026-01-01-a run", "ä.b", "console", "x" * 200):
        assert is_plain_name(name), name
    for name in ("", ".", "..", ".trash", "a/b", "a\\b", "..\\a", "C:", "C:a", "a:b", "NUL", "nul", "con.txt", "aux .x",
                 "a.", "a ", "a\0b", "a\nb", "\ud800", "x" * 201, "a*", "/a"):  # fmt: skip
        assert not is_plain_name(name), name
    for name in ("NUL", "con.txt", "..", "a/b", "", "x" * 500):
        assert is_plain_name(file_name(name)), name


JSON = {"content-type": "application/json"}
_HALF = '{"name": "\\ud800"}'
FORMS: dict[str, tuple[dict[str, Any], str]] = {
    "vary is a text": ({"vary": "blocks"}, "'vary' of the form must be an object"),
    "a judge is a list": ({"scorers": [[]]}, r"'scorers\[0\]' of the form must be an object"),
    "a judge is nothing": ({"scorers": [None]}, r"'scorers\[0\]' of the form must be an object"),
    "a pass' judge is a list": ({"passes": [{"scorers": [[]]}]}, r"'passes\[0\].scorers\[0\]'"),
    "models is a number": ({"models": 7}, "'models' of the form must be a list"),
    "a parameter is a text": ({"parameters": {"alpha": "0..1"}}, "'parameters.alpha' of the form must be an object"),
    "options is a list": ({"sampler_options": {"tpe": [1]}}, "'sampler_options.tpe' of the form must be an object"),
    "stop is true": ({"stop": True}, "'stop' of the form must be an object"),
}


@pytest.mark.ui
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("route", ["check", "start", "guide"])
def test_a_form_of_another_shape_is_refused(route: str, name: str, client: TestClient) -> None:
    change, words = FORMS[name]
    form = {**client.get("/optim/api/setup").json()["form"], **change}
    answer = client.post(f"/optim/api/{route}", json={"form": form})
    assert answer.status_code == 400
    assert re.search(words, answer.json()["error"])


@pytest.mark.ui
def test_requests_that_no_page_sends_are_refused(client: TestClient) -> None:
    def post(path: str, text: str) -> tuple[int, str]:
        answer = client.post(f"/optim/api/{path}", content=text.encode(), headers={"content-type": "application/json"})
        return answer.status_code, answer.json()["error"]

    for text in (
        '{"trial": NaN}',
        '{"trial": 1e999}',
        '{"trial": -Infinity}',
        _HALF,
        "[" * 100_000,
        "[]",
    ):
        status, sentence = post("score", text)
        assert status == 400
        assert sentence.isprintable()
    assert "half of a character" in post("score", _HALF)[1]
    answer = client.post("/optim/api/recipe", content=b'{"path": "\xed\xa0\x80"}', headers=JSON)
    assert answer.status_code == 400  # JSON's own reader lets these bytes pass
    half = '{"plan": {"version": 2, "name": "\\ud800"}}'
    assert post("start", half)[0] == 400
    big = json.dumps({"trial": 2**70, "image": 0, "value": 1, "request": "r"})
    assert post("score", big) == (400, f"'trial' must be a whole number from 0 to {2**53}.")
    assert post("command", '{"command": []}')[0] == 400
    assert post("command", '{"command": "\\u0000"}')[0] == 400
    shown = json.dumps({"shown": [[2**70, 0], [1, 0]], "outcome": "tie", "request": "r"})
    assert post("compare", shown)[0] == 400


@pytest.mark.ui
def test_names_of_files_that_are_no_text_do_not_break_the_page(client: TestClient) -> None:
    from lib_optim.ui.http import _Json

    assert json.loads(_Json({"path": "model-\udcff", "n": 1}).body) == {"path": "model-\udcff", "n": 1}
    with pytest.raises(ValueError, match="JSON"):
        _Json({"value": math.nan})
