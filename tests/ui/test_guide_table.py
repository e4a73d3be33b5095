"""The block table: the same guide as the lines and as a file, and every edit of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_optim.plan.blocks import block_map
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide_file import is_guide_file, write_guide
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.refine import refined_for
from lib_optim.plan.space import Space, space_of
from lib_optim.ui.guide_form import guide_from_form
from lib_optim.ui.guide_table import edited, guide_rows
from tests.plan.keys import config_keys
from tests.plan.methods import MANY, WEIGHTED

SD1 = block_map("sd1")
KEYS = tuple(key for keys in config_keys("sd1-ldm").values() for key in keys if "position_ids" not in key)
FILE = """components:
  text_encoder: all
  unet:
    - {type: group, groups: {detail: OUT06-OUT11}}
    - all
bounds: {detail: 0.2..0.6}
"""


def form(custom: str = "", mode: str = "") -> dict[str, Any]:
    return {"parameters": {}, "vary": {"mode": mode or ("custom" if custom else "blocks"), "custom": custom}}


def space(of: dict[str, Any], method: MergeMethod = WEIGHTED) -> Space:
    guide = guide_from_form(of, method, SD1, KEYS)
    return space_of(guide, method, refined_for(guide, SD1, KEYS))


def rows(of: dict[str, Any], method: MergeMethod = WEIGHTED) -> dict[str, dict[str, Any]]:
    found = guide_rows(guide_from_form(of, method, SD1, KEYS), method, SD1, KEYS)
    return {row["block"]: row for row in found}


def edit(of: dict[str, Any], method: MergeMethod = WEIGHTED, **change: str) -> dict[str, Any]:
    return form(edited(of, change, method, SD1, KEYS))


def refused(of: dict[str, Any], method: MergeMethod = WEIGHTED, **change: str) -> str:
    with pytest.raises(PlanError) as caught:
        edit(of, method, **change)
    return str(caught.value)


def test_rows_say_what_each_block_does() -> None:
    found = rows(
        form("BASE: =0.25\nIN00-IN03: 0..0.5\nsoft = OUT00, OUT01: 0.2..0.8 step 0.1\nOUT05: =OUT04\nOUT04: 0..1")
    )
    assert list(found) == [b.name for b in SD1.blocks if b.follows is None]
    said = {name: (row["how"], row["group"], row["bound"]) for name, row in found.items()}
    assert said["BASE"] == ("fixed", "", "=0.25")
    assert said["IN03"] == ("vary", "", "0..0.5")
    assert said["OUT00"] == said["OUT01"] == ("group", "soft", "0.2..0.8 step 0.1")
    assert said["OUT04"] == said["OUT05"] == ("group", "OUT04", "0..1")
    assert said["M00"] == said["VAE"] == ("keep", "", "")
    assert found["BASE"]["value"] == 0.25


def test_blocks_that_follow_and_tensors_have_rows_where_they_have_values() -> None:
    found = rows(form("TIME: 0..1\nOUT03/*.attn1.to_q.*: =0.3\nOUT*: 0..1"))
    assert "FINAL" not in found
    assert found["TIME"]["how"] == "vary"
    assert [row["how"] for row in found.values() if row["tensor"]] == ["fixed"]


def test_an_edit_of_a_mode_becomes_lines() -> None:
    assert edit(form(), blocks="IN05", how="fixed", bound="=0.5")["vary"]["custom"] == (
        "BASE, IN00-IN04, IN06-IN11, M00, OUT00-OUT11: 0..1\nIN05: =0.5"
    )
    groups = edit(form(mode="groups"), blocks="M00", how="keep")["vary"]["custom"]
    assert groups == "BASE: 0..1\nIN = IN00-IN11: 0..1\nOUT = OUT00-OUT11: 0..1"
    single = edit(form(mode="single"), blocks="BASE", how="vary", bound="0..0.2")["vary"]["custom"]
    assert single == "BASE: 0..0.2\nall_unet = IN00-IN11, M00, OUT00-OUT11: 0..1"


def test_a_pattern_edits_in_bulk_and_a_group_has_one_range() -> None:
    made = edit(form(), blocks="OUT0?, m*", how="group", group="detail", bound="0.2..0.6")
    assert len(space(made).parameters) == 26 - 11 + 1
    made = edit(made, blocks="IN11", how="group", group="Detail", bound="0..0.5")
    shared = next(p for p in space(made).parameters if p.name.casefold() == "detail_alpha")
    assert (str(shared.bound), len(shared.blocks)) == ("0..0.5", 12)


def test_a_file_stays_a_file_and_means_the_same_otherwise() -> None:
    made = edit(form(FILE), blocks="IN*", how="vary", bound="0..0.5")
    assert is_guide_file(made["vary"]["custom"])
    before, after = ({p.name: str(p.bound) for p in space(one).parameters} for one in (form(FILE), made))
    assert after == {name: "0..0.5" if name.startswith("IN") else bound for name, bound in before.items()}


def test_lines_of_tensors_stay_as_they_are() -> None:
    made = edit(form("# mine\nOUT03/*attn1*: =0.3 # elemental\n*: 0..1"), blocks="OUT03", how="keep")
    lines = made["vary"]["custom"].splitlines()
    assert lines[0] == "OUT03/*attn1*: =0.3 # elemental"
    assert [p.name for p in space(made).parameters if "OUT03" in p.name] == []


def test_curves_are_groups_with_the_curve_behind_their_range() -> None:
    curved = {"parameters": {}, "vary": {"mode": "curve", "points": 5}}
    assert {(row["how"], row["group"], row["bound"]) for name, row in rows(curved).items() if name[:2] == "IN"} == {
        ("group", "unet", "0..1 curve 5 smooth")
    }
    made = edit(curved, blocks="OUT*", how="group", group="fine", bound="0..0.5 curve 3 linear")
    assert [p.name for p in space(made).parameters] == [
        "BASE_alpha", *(f"all_unet_alpha_p{i}" for i in range(1, 6)), *(f"fine_alpha_p{i}" for i in range(1, 4)),
    ]  # fmt: skip
    made = edit(made, blocks="M00", how="fixed", bound="=0.5")
    assert len(space(made).parameters) == 9
    assert "one group" in refused(made, blocks="IN*", how="vary", bound="0..1 curve 3")
    file = form("components: {unet: [{type: single, curve: 3}]}\nbounds: {unet_alpha_p2: 0..0.5}")
    assert "without changing other blocks" in refused(file, blocks="IN05", how="keep")


def test_one_parameter_of_several() -> None:
    made = edit(form(), MANY, blocks="IN05", parameter="beta", how="fixed", bound="=1.5")
    found = space(made, MANY)
    assert [(s.name, s.value) for s in found.settings if s.name == "IN05_beta"] == [("IN05_beta", 1.5)]
    assert len(found.parameters) == 51


@pytest.mark.parametrize(
    ("custom", "change", "words"),
    [
        ("", {"blocks": "IN99", "how": "keep"}, "Did you mean 'IN09'"),
        ("", {"blocks": "", "how": "keep"}, "Name the blocks"),
        ("", {"blocks": "*.attn1.*", "how": "keep"}, "tensors are edited as text"),
        ("", {"blocks": "*", "how": "keep"}, "Nothing would be merged"),
        ("", {"blocks": "IN05", "how": "boil"}, "'boil' is nothing"),
        ("", {"blocks": "IN05", "how": "vary", "bound": "=0.5"}, "does not go with"),
        ("", {"blocks": "IN05", "how": "fixed", "bound": "0..1"}, "does not go with"),
        ("", {"blocks": "IN05", "how": "vary", "bound": "1..0"}, "not below"),
        ("", {"blocks": "IN05", "how": "group", "bound": "0..1"}, "needs a name"),
        ("", {"blocks": "IN05", "how": "keep", "parameter": "gamma"}, "'gamma' is not searched"),
        (FILE.replace("- all", "- {type: none, blocks: TIME}\n    - all"), {"blocks": "IN05", "how": "keep"},
         "without changing other blocks"),
        (FILE.replace("OUT06-OUT11", "'*.attn1.*'"), {"blocks": "IN05", "how": "keep"}, "names single tensors"),
        ("IN99: 0..1", {"blocks": "IN05", "how": "keep"}, "Line 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(custom: str, change: dict[str, str], words: str) -> None:
    assert words in refused(form(custom), **change)


BLOCKS = [b.name for b in SD1.blocks if b.follows is None and b.component != "vae"]
EDITS = st.fixed_dictionaries({
    "blocks": st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=4).map(", ".join),
    "how": st.sampled_from(["vary", "group", "fixed", "keep"]),
    "group": st.sampled_from(["x", "y"]),
    "low": st.sampled_from([0, 0.1, 0.25]),
})  # fmt: skip


@given(st.lists(EDITS, min_size=1, max_size=5), st.booleans())
def test_edits_do_what_they_say_and_nothing_else(edits: list[dict[str, Any]], as_file: bool) -> None:
    now = form(write_guide(guide_from_form(form(), WEIGHTED, SD1))) if as_file else form()
    wanted = dict.fromkeys(BLOCKS, ("vary", "", "0..1"))
    for one in edits:
        how, names = one["how"], one["blocks"].split(", ")
        bound = "" if how == "keep" else f"={one['low']}" if how == "fixed" else f"{one['low']}..1"
        group = one["group"] if how == "group" else ""
        change = {"blocks": one["blocks"], "how": how, "bound": bound, "group": one["group"]}
        try:
            now = edit(now, **change)
        except PlanError:
            assert "Nothing" in refused(now, **change)  # is searched, or merged, any more
            continue
        wanted.update(dict.fromkeys(names, (how, group, bound)))
        if group:
            wanted.update({name: (*was[:2], bound) for name, was in wanted.items() if was[1] == group})
    for name, row in rows(now).items():
        if name != "VAE":
            assert (row["how"], row["group"]) == wanted[name][:2]
            assert row["bound"].replace("=0.0", "=0") == wanted[name][2].replace("=0.0", "=0")
