"""Tables of trials as start points: our own, auto-MBW-rt's, and what is neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_optim.plan.blocks import block_map
from lib_optim.plan.errors import PlanError
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.start_tables import starts_of_table
from lib_optim.plan.starts import StartPoint, start_notes, start_values
from lib_optim.run.results import TrialTable
from lib_optim.search.study import Search
from tests.search.test_study import make_space, mixed_space, new

SD1 = block_map("sd1")


def ours(tmp_path: Path, trials: list[Trial], names: list[str]) -> str:
    table = TrialTable(tmp_path / "trials.csv", names, ["technical"])
    table.rewrite([(trial, "1", ()) for trial in trials])
    return (tmp_path / "trials.csv").read_text(encoding="utf-8")


def test_our_own_table_gives_back_every_kind_of_value(tmp_path: Path) -> None:
    space = mixed_space()
    search = new(space, "random")
    points = [search.suggest(number).values for number in range(4)]
    trials = [Trial(n, "complete", values, "sampler: x", value=float(n % 3)) for n, values in enumerate(points)]
    trials.append(Trial(4, "failed", points[0], "sampler: x", reason="It broke, badly."))
    table = starts_of_table(ours(tmp_path, trials, [p.name for p in space.parameters]), SD1, 2, "mine")
    assert (table.form, table.rows) == ("Optim's trials.csv", 4)
    assert [point.name for point in table.points] == ["mine 2", "mine 1"]
    assert start_values(table.points[0], space, SD1) == pytest.approx(points[2])
    again = StartPoint.from_json(table.points[0].to_json())
    assert again == table.points[0]


def mbw(rows: list[tuple[float, float]], extra: str = "") -> str:
    head = ",".join([*(str(i) for i in range(27)), "score", "eval_times", "iter_times"])
    lines = [
        ",".join([*(str(first if i == 0 else i / 100) for i in range(27)), str(score), "1.5", "1.6"])
        for first, score in rows
    ]
    return "\n".join([head, *lines]) + "\n" + extra


def test_the_table_of_auto_mbw_is_read_in_the_order_of_its_sliders() -> None:
    table = starts_of_table(mbw([(0.5, 0.2), (0.7, 0.9), (0.7, 0.8), (0.1, float("nan"))]), SD1, 5, "mbw")
    assert (table.form, table.rows) == ("auto-MBW-rt's CSV", 3)
    assert [point.name for point in table.points] == ["mbw 1", "mbw 3"], "the same merge comes once"
    weights = table.points[0].weights
    assert (weights["IN00"], weights["M00"], weights["FINAL"], weights["OUT00"], weights["TIME"]) == (
        0.7, 0.12, 0.13, 0.14, 0.26,
    )  # fmt: skip
    assert start_values(table.points[0], make_space(2), SD1) == {"IN00_alpha": 0.7, "IN01_alpha": 0.01}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no table of trials that Optim knows"),
        ("a,b\n1,2\n", "no table of trials that Optim knows"),
        (mbw([]), "No row of the table has a score"),
        (mbw([(0.5, 1.0)]).replace("0.05", "much"), "is no number"),
        ("trial," + "x" * 200_000, "cannot be read as a table"),
        ("\x00\x01", "no table of trials that Optim knows"),
    ],
)
def test_what_is_no_table_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        starts_of_table(text, SD1, 3, "x")


@pytest.mark.parametrize("count", [0, 101])
def test_the_count_has_bounds(count: int) -> None:
    with pytest.raises(PlanError, match="must lie between 1 and 100"):
        starts_of_table(mbw([(0.5, 1.0)]), SD1, count, "x")


def test_values_that_do_not_fit_and_values_that_are_absent() -> None:
    space = make_space(2)
    with pytest.raises(PlanError, match=r"gives IN00_alpha 1\.5, which lies outside 0\.\.1; widen"):
        start_values(StartPoint("m", values={"IN00_alpha": 1.5, "IN01_alpha": 0.5}), space, SD1)
    part = StartPoint("m", values={"IN00_alpha": 1, "OUT03_alpha": 0.25})
    assert list(start_notes(part, space, SD1)) == [
        "The start 'm' has OUT03_alpha, which this run does not search; the rest is tried.",
        "The start 'm' has no IN01_alpha; there the method's default is tried.",
    ]
    assert start_values(part, space, SD1) == {"IN00_alpha": 1.0, "IN01_alpha": space.parameters[1].default}


def test_the_search_tries_them_first() -> None:
    points = starts_of_table(mbw([(0.5, 0.2), (0.7, 0.9)]), SD1, 2, "mbw").points
    search = Search(make_space(2), SD1, SamplerSpec("random", {}, ("half",), points), 1)
    first = search.suggest(0)
    assert (first.origin, first.values["IN00_alpha"]) == ("start: mbw 1", 0.7)
