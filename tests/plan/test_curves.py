"""Curves over depth: their mathematics against SciPy and NumPy, and the space, presets and starts that have them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.curve_space import curve_points
from lib_optim.plan.curves import CurveShape, curve_through, fitted, places
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Curve, Group, Guide, Strategy
from lib_optim.plan.guide_file import read_guide, write_guide
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.presets import PRESETS, preset, preset_values
from lib_optim.plan.refine import refined_for
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.space import Space, space_of
from lib_optim.plan.starts import StartPoint, start_notes, start_values
from tests.plan.keys import config_keys
from tests.plan.methods import MANY, WEIGHTED

SD1, SDXL = block_map("sd1"), block_map("sdxl")
SHAPES = st.sampled_from(["smooth", "linear", "polynomial"])
POINTS = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=2, max_size=8)
DEPTHS = [i / 24 for i in range(25)]
LEADERS = [b.name for b in SD1.blocks if b.component == "unet" and b.follows is None]


# The curves themselves


@given(SHAPES, POINTS)
def test_a_curve_goes_through_its_points(shape: CurveShape, values: list[float]) -> None:
    curve = curve_through(shape, values)
    assert [curve(x) for x in places(shape, len(values))] == pytest.approx(values, abs=1e-14)


@given(POINTS)
def test_smooth_is_scipys_monotone_cubic_and_stays_between_its_points(values: list[float]) -> None:
    curve, xs = curve_through("smooth", values), places("smooth", len(values))
    if len(values) > 2:
        reference = PchipInterpolator(xs, values)
        assert [curve(x) for x in DEPTHS] == pytest.approx([float(reference(x)) for x in DEPTHS], abs=1e-9)
    for (left, low), (right, high) in pairwise(zip(xs, values, strict=True)):
        inside = [curve(left + (right - left) * i / 7) for i in range(8)]
        assert min(low, high) - 1e-12 <= min(inside) <= max(inside) <= max(low, high) + 1e-12


@given(POINTS)
def test_linear_and_polynomial_are_numpys(values: list[float]) -> None:
    straight, xs = curve_through("linear", values), places("linear", len(values))
    assert [straight(x) for x in DEPTHS] == pytest.approx(list(np.interp(DEPTHS, xs, values)), abs=1e-12)
    bent, xs = curve_through("polynomial", values), places("polynomial", len(values))
    coefficients = np.polyfit(xs, values, len(values) - 1)
    assert [bent(x) for x in DEPTHS] == pytest.approx(list(np.polyval(coefficients, DEPTHS)), abs=1e-7)


@given(SHAPES, st.lists(st.floats(0.1, 0.9), min_size=2, max_size=5))
def test_the_points_of_a_curve_are_found_again(shape: CurveShape, values: list[float]) -> None:
    curve = curve_through(shape, values)
    found = fitted(shape, [(x, curve(x)) for x in DEPTHS], [(0.0, 1.0)] * len(values))
    again = curve_through(shape, found)
    assert max(abs(again(x) - curve(x)) for x in DEPTHS) < 0.02


def test_fitted_is_the_least_squares_solution_within_the_ranges() -> None:
    wanted = [(x, 0.2 + 0.6 * x + 0.3 * math.sin(9 * x)) for x in DEPTHS]
    basis = np.array([[curve_through("linear", row)(x) for row in np.eye(4).tolist()] for x in DEPTHS])
    exact = np.linalg.lstsq(basis, np.array([value for _, value in wanted]), rcond=None)[0]
    assert fitted("linear", wanted, [(-9.0, 9.0)] * 4) == pytest.approx(list(exact), abs=1e-4)
    held = fitted("linear", wanted, [(0.3, 0.3), (0.0, 0.4), (-9.0, 9.0), (-9.0, 9.0)])
    assert held[0] == 0.3
    assert held[1] == 0.4, "the best lies above the range"


# In a space


def bend(points: int = 4, shape: CurveShape = "smooth", method: MergeMethod = WEIGHTED, **bounds: str) -> Space:
    strategies = (Strategy("single", parameters=("alpha",), curve=Curve(points, shape)),)
    guide = Guide((ComponentGuide("unet", strategies),), {k: parse_bound(v) for k, v in bounds.items()})
    return space_of(guide, method, SD1)


def group(blocks: str, curve: Curve | None, name: str = "g") -> Strategy:
    return Strategy("group", groups=(Group(name, tuple(blocks.split())),), curve=curve)


def refused(*strategies: Strategy, method: MergeMethod = WEIGHTED, component: str = "unet", **bounds: str) -> str:
    guide = Guide((ComponentGuide(component, strategies),), {k: parse_bound(v) for k, v in bounds.items()})
    with pytest.raises(PlanError) as caught:
        space_of(guide, method, SD1)
    return str(caught.value)


def weights(space: Space, values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in space.assign(values)["alpha"].items()}


def test_points_are_searched_and_blocks_lie_on_the_curve() -> None:
    space = bend(3)
    assert [p.name for p in space.parameters] == ["unet_alpha_p1", "unet_alpha_p2", "unet_alpha_p3"]
    assert {str(p.bound) for p in space.parameters} == {"0..1"}
    points = dict(zip([p.name for p in space.parameters], [0.2, 0.8, 0.4], strict=True))
    found = weights(space, points)
    curve = curve_through("smooth", [0.2, 0.8, 0.4])
    assert [found[name] for name in LEADERS] == [curve(x) for x in DEPTHS]
    assert (found["TIME"], found["FINAL"]) == (found["IN00"], found["OUT11"])
    assert set(found) == set(space.merged_blocks)
    assert Space.from_json(space.to_json()) == space
    assert space.drawn(points) == {f"{name}_alpha": value for name, value in found.items()}


def test_a_group_has_a_curve_from_its_own_first_block_to_its_last() -> None:
    guide = Guide((ComponentGuide("unet", (group("OUT06-OUT11", Curve(2, "linear")), Strategy("all"))),))
    space = space_of(guide, WEIGHTED, SD1)
    assert len(space.parameters) == 2 + 19
    values = {p.name: {"g_alpha_p1": 0.0, "g_alpha_p2": 1.0}.get(p.name, 0.5) for p in space.parameters}
    found = weights(space, values)
    assert [found[f"OUT{n:02d}"] for n in range(6, 12)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert found["OUT05"] == 0.5
    assert space.drawn(values)["OUT05_alpha"] == 0.5


def test_points_have_bounds_of_their_own_and_may_be_fixed() -> None:
    space = bend(4, unet_alpha="0.1..0.9", unet_alpha_p2="0.3..0.5 step 0.1", unet_alpha_p4="=0.25")
    assert {p.name: str(p.bound) for p in space.parameters} == {
        "unet_alpha_p1": "0.1..0.9", "unet_alpha_p2": "0.3..0.5 step 0.1", "unet_alpha_p3": "0.1..0.9",
    }  # fmt: skip
    found = weights(space, {"unet_alpha_p1": 0.1, "unet_alpha_p2": 0.5, "unet_alpha_p3": 0.9})
    assert (found["IN00"], found["OUT11"]) == (0.1, 0.25)


def test_a_polynomial_is_cut_at_the_ends_of_the_range() -> None:
    space = bend(4, "polynomial")
    found = weights(space, dict(zip([p.name for p in space.parameters], [0.0, 1.0, 1.0, 0.0], strict=True)))
    assert max(found.values()) == 1.0
    assert sorted(found.values())[-3] == 1.0, "it would swing above"


def test_a_logarithmic_range_is_bent_in_its_logarithms() -> None:
    space = bend(2, "linear", alpha="1e-4..1 log")
    found = weights(space, {"unet_alpha_p1": 1e-4, "unet_alpha_p2": 1.0})
    assert found["M00"] == pytest.approx(1e-2)
    assert found["OUT11"] == 1.0


def test_single_tensors_lie_where_their_block_lies() -> None:
    keys = tuple(key for keys in config_keys("sd1-ldm").values() for key in keys if "position_ids" not in key)
    guide = Guide((ComponentGuide("unet", (group("*.attn1.to_q.*", Curve(2, "linear")),)),))
    space = space_of(guide, WEIGHTED, refined_for(guide, SD1, keys))
    found = weights(space, {"g_alpha_p1": 0.0, "g_alpha_p2": 1.0})
    by_block = {key.split(".")[2] + key.split(".")[3]: value for key, value in found.items()}
    assert (by_block["input_blocks1"], by_block["output_blocks11"]) == (0.0, 1.0)
    assert by_block["middle_block1"] == pytest.approx(11 / 23)


@pytest.mark.parametrize(
    ("strategies", "words"),
    [
        ((Strategy("all", curve=Curve()),), "which only single and group take"),
        ((Strategy("single", curve=Curve(1)),), "2 to 8 points, not 1"),
        ((Strategy("single", curve=Curve(9)),), "2 to 8 points, not 9"),
        ((group("IN00-IN02", Curve(4)),), "4 points over 3 blocks of different depth"),
        ((group("IN00 TIME", Curve(2)),), "2 points over 1 blocks"),
        ((group("IN*", Curve(3)), group("OUT*", Curve(4))), "another curve"),
        ((group("IN*", Curve(3)), group("OUT*", None)), "another curve"),
    ],
)
def test_what_is_no_curve_is_said(strategies: tuple[Strategy, ...], words: str) -> None:
    assert words in refused(*strategies)


def test_bounds_and_ties_that_a_curve_cannot_have() -> None:
    single = Strategy("single", curve=Curve(3))
    assert "numbers within a range" in refused(single, alpha="{0, 0.5}")
    assert "numbers within a range" in refused(single, unet_alpha_p1="=unet_alpha_p2")
    assert "has no value of its own" in refused(single, IN05="0..0.5")
    assert "matches no parameter" in refused(single, unet_alpha_p4="0..0.5")
    assert "lies on a curve" in refused(group("IN*", Curve(3)), Strategy("all"), OUT00="=IN05")
    assert "every parameter is fixed" in refused(single, alpha="=0.5")
    assert "BASE has no depth" in refused(Strategy("single", curve=Curve(2)), component="text_encoder")
    words = Strategy("single", parameters=("alpha", "mode"), curve=Curve(3))
    assert "A curve takes numbers, and mode takes str" in refused(words, method=MANY)


def test_a_file_says_curves_in_short_and_in_full() -> None:
    short = read_guide("components: {unet: [{type: single, curve: 5}]}")
    assert short.components[0].strategies[0].curve == Curve(5)
    full = read_guide("components: {unet: [{type: single, curve: {points: 3, shape: linear}}]}")
    assert full.components[0].strategies[0].curve == Curve(3, "linear")
    assert read_guide(write_guide(full)) == full
    for bad, words in (("curve: 2.5", "must be an object"), ("curve: {shape: wavy}", "must be one of")):
        with pytest.raises(PlanError, match=f"Line 1: .*{words}"):
            read_guide(f"components: {{unet: [{{type: single, {bad}}}]}}")


def test_older_plans_have_no_curves() -> None:
    data = Strategy("single").to_json()
    del data["curve"]
    assert Strategy.from_json(data) == Strategy("single")
    assert RunPlan.from_json({"name": "x", "models": [], "method": "m", "payloads": [], "scorers": [], "guide": {
        "components": [{"component": "unet", "strategies": [{"type": "all"}]}]}}).block_map == ""  # fmt: skip


# Presets and starts


@pytest.mark.parametrize("row", PRESETS, ids=lambda row: row.name)
def test_every_preset_is_fitted(row: object) -> None:
    space = bend(8)
    values = preset_values(row, space, SD1)  # type: ignore[arg-type]
    assert values is not None
    wanted = [min(max(row.curve(x), 0.0), 1.0) for x in DEPTHS]  # type: ignore[attr-defined]
    found = weights(space, values)  # type: ignore[arg-type]
    error = sum((found[name] - value) ** 2 for name, value in zip(LEADERS, wanted, strict=True))
    flat = sum((value - sum(wanted) / 25) ** 2 for value in wanted)
    assert error <= flat + 1e-9, "no worse than the best flat line"


def test_straight_presets_are_met_exactly_and_ranges_are_kept() -> None:
    space = bend(3, "linear")
    for name, expected in (("GRAD_V", [1, 0, 1]), ("GRAD_A", [0, 1, 0]), ("half", [0.5] * 3), ("all B", [1] * 3)):
        values = preset_values(preset(name), space, SD1)
        assert values is not None
        assert list(values.values()) == pytest.approx(expected, abs=1e-6)
    assert preset_values(preset("all A"), bend(3, alpha="0.5..1"), SD1) is None, "it does not fit"
    stepped = preset_values(preset("FLAT_25"), bend(3, alpha="0..1 step 0.1"), SD1)
    assert stepped is not None
    assert set(stepped.values()) <= {0.2, 0.30000000000000004}
    fixed = preset_values(preset("half"), bend(3, unet_alpha_p2="=0.5"), SD1)
    assert fixed == {"unet_alpha_p1": 0.5, "unet_alpha_p3": 0.5}
    assert len(preset_values(preset("GRAD_V"), space_of(Guide((ComponentGuide("unet", (
        Strategy("single", curve=Curve(5)),)),)), WEIGHTED, SDXL), SDXL) or {}) == 5  # fmt: skip


def test_other_parameters_on_curves_start_at_their_default() -> None:
    guide = Guide((ComponentGuide("unet", (Strategy("single", parameters=("alpha", "beta"), curve=Curve(3)),)),))
    values = preset_values(preset("GRAD_V"), space_of(guide, MANY, SD1), SD1)
    assert values is not None
    assert [value for name, value in values.items() if "_beta_" in name] == [0.3] * 3


def test_a_start_is_fitted_and_said_to_be_off() -> None:
    space = bend(3, "linear")
    line = StartPoint("line", {name: 0.2 + 0.6 * x for name, x in zip(LEADERS, DEPTHS, strict=True)})
    assert list(start_values(line, space, SD1).values()) == pytest.approx([0.2, 0.5, 0.8], abs=1e-6)
    assert list(start_notes(line, space, SD1)) == []
    one = StartPoint("one", {"IN05": 0.5})
    assert "is no curve like unet_alpha; the closest, 0.4" in " ".join(start_notes(one, space, SD1))
    with pytest.raises(PlanError, match=r"gives IN00 0, which lies outside of 0\.5\.\.1"):
        start_values(one, bend(3, alpha="0.5..1"), SD1)


def test_wanted_values_outside_of_the_range_fit_no_curve() -> None:
    space = bend(3)
    assert curve_points(space.curves[0], space, {"IN00": 1.5}) is None
    assert curve_points(space.curves[0], space, {"IN00": 0.5}) is not None
