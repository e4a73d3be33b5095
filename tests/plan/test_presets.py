"""The classic curves: values computed by hand from the published tables, and how they meet a space."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import Bound, parse_bound
from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.presets import PRESETS, preset, preset_values
from lib_optim.plan.run_plan import SamplerSpec
from lib_optim.plan.space import Space, space_of
from tests.plan.methods import MANY, NEEDY, WEIGHTED

SD1, SDXL = block_map("sd1"), block_map("sdxl")
TABLES = {
    "WRAP08": [1] * 4 + [0] * 17 + [1] * 4,
    "WRAP12": [1] * 6 + [0] * 13 + [1] * 6,
    "WRAP14": [1] * 7 + [0] * 11 + [1] * 7,
    "WRAP16": [1] * 8 + [0] * 9 + [1] * 8,
    "MID12_50": [0] * 5 + [0.5] * 14 + [0] * 6,
    "OUT07": [0] * 18 + [1] * 7,
    "OUT12": [0] * 13 + [1] * 12,
    "OUT12_5": [0] * 12 + [0.5] + [1] * 12,
    "RING08_SOFT": [0] * 5 + [0.5, 1, 1, 1, 0.5] + [0] * 5 + [0.5, 1, 1, 1, 0.5] + [0] * 5,
    "RING08_5": [0] * 6 + [1] * 4 + [0] * 5 + [1] * 4 + [0] * 6,
    "RING10_5": [0] * 5 + [1] * 5 + [0] * 5 + [1] * 5 + [0] * 5,
    "RING10_3": [0] * 6 + [1] * 5 + [0] * 3 + [1] * 5 + [0] * 6,
}
# i of 0…24 to the value, by hand
POINTS = {
    "GRAD_V": {0: 1, 3: 0.75, 6: 0.5, 12: 0, 18: 0.5, 24: 1},
    "GRAD_A": {0: 0, 3: 0.25, 6: 0.5, 12: 1, 18: 0.5, 24: 0},
    "SMOOTHSTEP": {0: 0, 6: 0.15625, 8: 7 / 27, 12: 0.5, 16: 20 / 27, 18: 0.84375, 24: 1},
    "REVERSE_SMOOTHSTEP": {0: 1, 6: 0.84375, 12: 0.5, 24: 0},
    "SMOOTHSTEP*2": {0: 0, 6: 0.3125, 12: 1, 18: 0.3125, 24: 0},
    "SMOOTHSTEP*3": {0: 0, 6: 0.46875, 12: 0.5, 18: 0.53125, 24: 1},
    "SMOOTHSTEP*4": {0: 0, 6: 0.625, 12: 0, 18: 0.625, 24: 0},
    "SMOOTHSTEP/2": {0: 0, 6: 0.5, 12: 1, 18: 0.5, 24: 0},
    "SMOOTHSTEP/3": {0: 0, 4: 0.5, 8: 1, 16: 0, 20: 0.5, 24: 1},
    "SMOOTHSTEP/4": {0: 0, 3: 0.5, 6: 1, 12: 0, 18: 1, 24: 0},
    "REVERSE_SMOOTHSTEP*2": {0: 1, 6: 0.6875, 12: 0, 24: 1},
    "REVERSE_SMOOTHSTEP/2": {0: 1, 6: 0.5, 12: 0, 24: 1},
    "COSINE": {0: 1, 6: (1 + math.sqrt(0.5)) / 2, 8: 0.75, 12: 0.5, 24: 0},
    "REVERSE_COSINE": {0: 0, 8: 0.25, 12: 0.5, 24: 1},
    "FAKE_CUBIC_HERMITE": {0: 0, 6: 3.28125 / 6, 12: 0.5, 18: 2.71875 / 6, 24: 1},
    "TRUE_CUBIC_HERMITE": {0: 0, 6: 6.984375 / 12, 12: 6.25 / 12, 24: 1},
    "REVERSE_TRUE_CUBIC_HERMITE": {0: 1, 6: 1 - 6.984375 / 12, 12: 5.75 / 12, 24: 0},
}
FLAT = {"all A": 0, "all B": 1, "half": 0.5, "FLAT_25": 0.25, "FLAT_75": 0.75}


def numbers(name: str, count: int) -> list[float]:
    return [preset(name).curve(i / (count - 1)) for i in range(count)]


@pytest.mark.parametrize(("name", "table"), TABLES.items())
def test_the_step_curves_match_their_tables(name: str, table: list[float]) -> None:
    assert len(table) == 25
    assert numbers(name, 25) == table


@pytest.mark.parametrize(("name", "points"), POINTS.items())
def test_the_smooth_curves_match_values_computed_by_hand(name: str, points: dict[int, float]) -> None:
    found = numbers(name, 25)
    assert {i: found[i] for i in points} == pytest.approx(points, abs=1e-12)


@pytest.mark.parametrize(("name", "value"), FLAT.items())
def test_the_flat_ones(name: str, value: float) -> None:
    assert set(numbers(name, 25)) == {value}
    assert preset(name).base == value


def test_every_preset_is_checked_here() -> None:
    assert {row.name for row in PRESETS} == {*TABLES, *POINTS, *FLAT}
    assert len({row.name.casefold() for row in PRESETS}) == len(PRESETS)


def test_curves_keep_the_text_encoder_of_a() -> None:
    assert {row.base for row in PRESETS if row.name not in FLAT} == {0.0}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("GRAD_V", [1 - i / 9 for i in range(10)] + [i / 9 for i in range(1, 10)]),
        ("OUT12", [0.0] * 10 + [1.0] * 9),
        ("OUT07", [0.0] * 14 + [1.0] * 5),
        ("WRAP08", [1.0] * 3 + [0.0] * 13 + [1.0] * 3),
    ],
)
def test_on_the_19_blocks_of_sdxl(name: str, values: list[float]) -> None:
    assert numbers(name, 19) == pytest.approx(values)


@given(st.sampled_from(PRESETS), st.floats(0, 1))
def test_every_weight_of_every_preset_is_a_share(row, depth: float) -> None:
    found = preset_values(row, space_of(Guide.per_block(), WEIGHTED, SD1), SD1)
    assert found is not None
    assert all(0 <= value <= 1 for value in found.values())
    assert math.isfinite(row.curve(depth))


def test_names_in_any_case_and_the_nearest() -> None:
    assert preset("grad_v").name == "GRAD_V"
    with pytest.raises(PlanError, match=r"There is no preset 'SMOTHSTEP'\. Did you mean 'SMOOTHSTEP'\?"):
        preset("SMOTHSTEP")


def test_the_default_presets_exist_and_differ() -> None:
    space = space_of(Guide.per_block(), WEIGHTED, SD1)
    assert SamplerSpec().presets[0] == "unchanged"
    found = [preset_values(preset(name), space, SD1) for name in SamplerSpec().presets[1:]]
    assert len(found) == 7
    assert None not in found
    assert all(found.count(values) == 1 for values in found)


# On a space


def make(*strategies: Strategy, method: MergeMethod = WEIGHTED, te: bool = False, **bounds: str) -> Space:
    parts = [ComponentGuide("unet", strategies or (Strategy("all"),))]
    if te:
        parts.append(ComponentGuide("text_encoder", (Strategy("all"),)))
    return space_of(Guide(tuple(parts), {k: parse_bound(v) for k, v in bounds.items()}), method, SD1)


def values(name: str, space: Space) -> dict[str, object] | None:
    return preset_values(preset(name), space, SD1)  # type: ignore[return-value]


def test_per_block_it_is_the_curve_in_block_order() -> None:
    found = values("SMOOTHSTEP", make(te=True))
    assert found is not None
    assert list(found.values()) == pytest.approx([0.0, *numbers("SMOOTHSTEP", 25)])
    assert next(iter(found)) == "BASE_alpha"
    assert values("all B", make(te=True)) == dict.fromkeys(found, 1.0)


def test_on_sdxl_it_is_the_curve_over_19_blocks() -> None:
    found = preset_values(preset("GRAD_A"), space_of(Guide.per_block(False), WEIGHTED, SDXL), SDXL)
    assert found is not None
    assert list(found.values()) == pytest.approx(numbers("GRAD_A", 19))


def test_groups_take_the_mean_of_their_blocks_without_followers() -> None:
    group = Strategy("group", groups=(Group("g", ("IN00", "IN06", "TIME")), Group("h", ("OUT*",))))
    found = values("GRAD_V", make(group))
    assert found == pytest.approx({"g_alpha": 0.75, "h_alpha": sum(i / 12 for i in range(1, 13)) / 12})


def test_a_follower_alone_takes_its_leaders_place() -> None:
    space = make(Strategy("select", ("TIME", "FINAL", "IN06")))
    assert values("WRAP08", space) == {"TIME_alpha": 1.0, "IN06_alpha": 0.0, "FINAL_alpha": 1.0}
    assert values("SMOOTHSTEP", space) == pytest.approx({"TIME_alpha": 0, "IN06_alpha": 0.15625, "FINAL_alpha": 1})


def test_other_parameters_take_the_methods_default() -> None:
    space = make(Strategy("single", parameters=("alpha", "beta", "rank", "vote")), method=MANY)
    assert values("half", space) == {"unet_alpha": 0.5, "unet_beta": 0.3, "unet_rank": 8, "unet_vote": False}


@pytest.mark.parametrize(
    ("bound", "fitting"),
    [
        ("0.1..0.9", {"half": 0.5, "FLAT_25": 0.25}),
        ("0..0.3", {"all A": 0, "FLAT_25": 0.25}),
        ("0..1 step 0.2", {"all A": 0, "all B": 1, "half": 0.4, "FLAT_25": 0.2, "FLAT_75": 0.8}),
        ("{0, 0.5}", {"all A": 0, "half": 0.5}),
        ("0..1 int", {"all A": 0, "all B": 1}),
        ("1e-3..1 log", {"all B": 1, "half": 0.5, "FLAT_25": 0.25, "FLAT_75": 0.75}),
        ("0..2", {"all A": 0, "all B": 1, "half": 0.5, "FLAT_25": 0.25, "FLAT_75": 0.75}),
    ],
)
def test_a_preset_is_left_out_where_it_does_not_fit(bound: str, fitting: dict[str, float]) -> None:
    space = make(Strategy("single"), alpha=bound)
    found = {name: point["unet_alpha"] for name in FLAT if (point := values(name, space)) is not None}
    assert {name: value for name, value in found.items() if name in fitting} == pytest.approx(fitting)
    if bound == "0.1..0.9":
        assert set(found) == {"half", "FLAT_25", "FLAT_75"}
    else:
        assert set(found) == set(fitting)


def test_without_a_mixing_weight_or_a_default_nothing_fits() -> None:
    assert values("half", make(Strategy("single", parameters=("beta",)), method=MANY)) is None
    assert values("half", make(Strategy("single", parameters=("alpha", "k")), method=NEEDY)) is None


def test_a_default_out_of_bounds_does_not_fit() -> None:
    space = make(Strategy("single", parameters=("alpha", "rank")), method=MANY, rank="16..64 int")
    assert values("half", space) is None


ranges = st.sampled_from(["0..1", "0..1 step 0.05", "0..1 step 0.2", "-1..2", "0.2..0.8", "{0, 0.5, 1}", "1e-6..1 log"])


@given(st.sampled_from(PRESETS), ranges, st.sampled_from(["all", "single"]))
def test_every_point_lies_in_the_space(row, bound: str, kind) -> None:
    space = make(Strategy(kind), te=True, alpha=bound)
    point = preset_values(row, space, SD1)
    if point is not None:
        space.assign(point)
    else:
        assert parse_bound(bound) != Bound("float", 0.0, 1.0)
