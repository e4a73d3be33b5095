"""The form of the tab, as a user may fill it in, against the plan it must become."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lib_optim.hosts.base import Checkpoint
from lib_optim.plan.adjust import ADJUSTMENTS
from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.combining import Combining
from lib_optim.plan.design import StartDesign
from lib_optim.plan.errors import CheckpointError, PlanError
from lib_optim.plan.judging import Judging, judging_of
from lib_optim.plan.methods import MergeMethod, MethodParameter
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import Budget, PassSpec, RunPlan, SamplerSpec, SharedSpec, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.plan.space import space_of
from lib_optim.ui.form import Choices, default_form, plan_from_form

ALPHA = MethodParameter("alpha", "float", 0.5, parse_bound("0..1"))
METHODS = {
    "weighted_sum": MergeMethod("weighted_sum", "Weighted sum", "", 2, 2, (ALPHA,)),
    "ties": MergeMethod(
        "ties", "TIES", "", 2, None,
        (ALPHA, MethodParameter("k", "float", 0.2, parse_bound("0..1"), searched=False),
         MethodParameter("mode", "str", "sum", parse_bound("{sum, mean}"), searched=False)),
    ),
    "add_difference": MergeMethod("add_difference", "Add difference", "", 3, 3, (ALPHA,)),
}  # fmt: skip


def _method(name: str) -> MergeMethod:
    if name not in METHODS:
        raise PlanError(f"There is no merge method '{name}'.")
    return METHODS[name]


def _blocks(path: Path) -> Any:
    if path.stem == "broken":
        raise CheckpointError("broken.safetensors is truncated; download it again.")
    return block_map("sdxl" if path.stem == "xl" else "sd1")


CHOICES = Choices(
    models={name: Checkpoint(name, Path(f"/m/{name}.safetensors")) for name in ("a", "b", "c", "xl", "broken")},
    payloads={"cat": Payload("cat", "a cat", seed=1), "dog": Payload("dog", "a dog", seed=2)},
    scorers={"technical": {}, "similarity": {"reference": "image", "scale": "number"}, "manual": {}},
    method=_method,
    blocks=_blocks,
)


def form(**changes: Any) -> dict[str, Any]:
    filled = default_form("a", "b", ["cat"], ["technical"])
    for key, value in changes.items():
        filled[key] = {**filled[key], **value} if isinstance(value, dict) else value
    return filled


def plan(**changes: Any) -> RunPlan:
    return plan_from_form(form(**changes), CHOICES)


def dimensions(of: RunPlan, blocks: str = "sd1") -> dict[str, str]:
    """Return parameter name to bound, as the search will see them."""
    space = space_of(of.guide, METHODS[of.method], block_map(blocks))
    return {p.name: str(p.bound) for p in space.parameters}


def fixed(of: RunPlan) -> dict[str, Any]:
    return {s.name: s.value for s in space_of(of.guide, METHODS[of.method], block_map("sd1")).settings}


def problems(**changes: Any) -> list[str]:
    with pytest.raises(PlanError) as caught:
        plan(**changes)
    return [problem.sentence for problem in caught.value.problems]


def test_default_form_is_a_working_plan() -> None:
    made = plan()
    assert [model.title for model in made.models] == ["a", "b"]
    assert made.models[0].path == str(Path("/m/a.safetensors"))
    assert (made.method, made.budget.trials, made.seed, made.name) == ("weighted_sum", 30, 0, "a + b")
    assert [payload.name for payload in made.payloads] == ["cat"]
    assert RunPlan.from_json(made.to_json()) == made
    names = dimensions(made)
    assert len(names) == 26
    assert names["BASE_alpha"] == names["IN00_alpha"] == "0..1"


def test_default_form_is_not_changed_by_planning() -> None:
    filled = form()
    before = copy.deepcopy(filled)
    plan_from_form(filled, CHOICES)
    assert filled == before


@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        ({"mode": "blocks", "text_encoder": False}, 25),
        ({"mode": "blocks", "vae": True}, 27),
        ({"mode": "groups"}, 4),
        ({"mode": "groups", "text_encoder": False}, 3),
        ({"mode": "single"}, 1),
        ({"mode": "curve"}, 5),
        ({"mode": "curve", "points": 8, "shape": "linear", "text_encoder": False}, 8),
        ({"mode": "single", "vae": True}, 1),
    ],
)
def test_modes_give_as_many_dimensions_as_they_say(vary: dict[str, Any], expected: int) -> None:
    assert len(dimensions(plan(vary=vary))) == expected


def test_groups_cover_every_block_of_the_unet_in_both_architectures() -> None:
    for models, blocks in ((["a", "b", ""], "sd1"), (["xl", "b", ""], "sdxl")):
        space = space_of(plan(models=models, vary={"mode": "groups"}).guide, METHODS["weighted_sum"], block_map(blocks))
        expected = {block.name for block in block_map(blocks).blocks if block.component != "vae"}
        assert set(space.merged_blocks) == expected
        assert [parameter.name for parameter in space.parameters] == [
            "text_encoder_alpha", "IN_alpha", "MID_alpha", "OUT_alpha",
        ]  # fmt: skip


def test_one_weight_moves_text_encoder_and_unet_together() -> None:
    space = space_of(plan(vary={"mode": "single"}).guide, METHODS["weighted_sum"], block_map("sd1"))
    table = space.assign({space.parameters[0].name: 0.25})
    assert table["alpha"]["BASE"] == table["alpha"]["IN00"] == table["alpha"]["OUT11"] == 0.25


def test_numbers_lie_on_a_curve_and_other_values_do_not() -> None:
    rows = {"mode": {"vary": True, "text": ""}}
    made = plan(method="ties", parameters=rows, vary={"mode": "curve", "points": 3, "text_encoder": False})
    assert list(dimensions(made)) == ["unet_alpha_p1", "unet_alpha_p2", "unet_alpha_p3", "unet_mode"]


def test_lines_with_curves() -> None:
    made = plan(vary={"mode": "custom", "custom": "depth = IN*, M00: 0..0.5 curve 3 linear\nOUT*: 0..1"})
    assert [name for name in dimensions(made) if name.startswith("depth")] == [f"depth_alpha_p{i}" for i in (1, 2, 3)]
    assert len(dimensions(made)) == 3 + 12
    assert dimensions(made)["depth_alpha_p2"] == "0..0.5"


def test_a_range_typed_beside_the_parameter_holds_everywhere() -> None:
    made = plan(parameters={"alpha": {"vary": True, "text": "0.2..0.7 step 0.1"}})
    assert set(dimensions(made).values()) == {"0.2..0.7 step 0.1"}


def test_parameters_are_varied_or_fixed_as_ticked() -> None:
    rows = {
        "alpha": {"vary": False, "text": "0.3"},
        "k": {"vary": True, "text": ""},
        "mode": {"vary": False, "text": "mean"},
    }
    made = plan(method="ties", parameters=rows, vary={"mode": "groups"})
    assert dimensions(made) == {"text_encoder_k": "0..1", "IN_k": "0..1", "MID_k": "0..1", "OUT_k": "0..1"}
    assert set(fixed(made).values()) == {0.3, "mean"}


def test_unticked_and_empty_takes_the_methods_own_default() -> None:
    made = plan(method="ties", vary={"mode": "single"})
    assert dimensions(made) == {"unet_alpha": "0..1"}
    assert set(fixed(made).values()) == {0.2, "sum"}


def test_custom_lines() -> None:
    text = """
        # the first line that names a block counts
        in03: 0.4..0.5
        IN00-IN05, OUT0*: 0.2..0.8
        M00: =0.5          # fixed
        OUT10: =IN03
    """
    made = plan(vary={"mode": "custom", "custom": text})
    names = dimensions(made)
    assert names["IN03_alpha"] == "0.4..0.5"
    assert names["IN00_alpha"] == names["OUT09_alpha"] == "0.2..0.8"
    assert fixed(made) == {"M00_alpha": 0.5}
    space = space_of(made.guide, METHODS["weighted_sum"], block_map("sd1"))
    assert set(space.merged_blocks) == {
        *(f"IN{i:02d}" for i in range(6)), *(f"OUT{i:02d}" for i in range(11)), "M00", "TIME",
    }  # fmt: skip
    assert next(p for p in space.parameters if p.name == "IN03_alpha").blocks == ("IN03", "OUT10")


def test_custom_line_for_one_method_parameter_leaves_the_others_alone() -> None:
    made = plan(method="ties", vary={"mode": "custom", "custom": "IN00-IN01: 0..1\nIN00 k: 0.1..0.4"})
    assert dimensions(made) == {"IN00_alpha": "0..1", "IN01_alpha": "0..1", "IN00_k": "0.1..0.4"}


def test_a_wildcard_over_everything_leaves_the_vae_alone() -> None:
    assert "VAE_alpha" not in dimensions(plan(vary={"mode": "custom", "custom": "*: 0..1"}))
    assert "VAE_alpha" in dimensions(plan(vary={"mode": "custom", "custom": "*: 0..1\nVAE: 0..0.2"}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": ["a", "", ""]}, ["at least two"]),
        ({"models": ["", "b", ""]}, ["Model A is empty"]),
        ({"models": ["a", "a", ""]}, ["A and B are the same"]),
        ({"models": ["a", "bb", ""]}, ["'bb'", "Did you mean 'b'"]),
        ({"models": ["broken", "b", ""]}, ["truncated"]),
        ({"models": ["a", "b", "c"]}, ["Weighted sum takes 2 models, not 3"]),
        ({"method": "add_difference"}, ["takes 3 models, not 2"]),
        ({"method": "nope"}, ["no merge method 'nope'"]),
        ({"method": "ties", "models": ["a", "", ""]}, ["takes 2 to any number models"]),
        ({"payloads": []}, ["No payload"]),
        ({"payloads": ["cat", "bird"]}, ["'bird' is not there"]),
        ({"scorers": []}, ["No judge"]),
        ({"scorers": [{"id": "beauty"}]}, ["no judge 'beauty'"]),
        ({"scorers": [{"id": "technical", "weight": "-1"}]}, ["above 0, or 0 to watch it only"]),
        ({"scorers": [{"id": "manual", "weight": "0"}]}, ["above 0."]),
        ({"combining": {"spread": "2"}}, ["between 0"]),
        ({"combining": {"spread": "much"}}, ["between 0"]),
        ({"combining": {"guards": ["dull"]}}, ["no guard 'dull'"]),
        ({"combining": {"mean": "best"}}, ["'combining.mean' must be one of"]),
        ({"scorers": [{"id": "technical", "weight": "nan"}]}, ["above 0"]),
        ({"scorers": [{"id": "similarity", "options": {"scale": "much"}}]}, ["'much' must be a number"]),
        ({"trials": 0}, ["number of trials"]),
        ({"trials": ""}, ["number of trials"]),
        ({"trials": 2.5}, ["whole number"]),
        ({"seed": -1}, ["The seed"]),
        ({"stop": {"images": "many"}}, ["limit of images", "'many'"]),
        ({"stop": {"images": 2.5}}, ["limit of images", "whole number"]),
        ({"stop": {"minutes": -1}}, ["limit of minutes", "from 0"]),
        ({"stop": {"patience": "-2"}}, ["patience"]),
        ({"stop": {"target": "good"}}, ["target score"]),
        ({"verify": {"finalists": 99}}, ["number of finalists", "from 0 to 20"]),
        ({"verify": {"payloads": ["bird"]}}, ["held-out payload 'bird'"]),
        ({"verify": {"scorer": "beauty"}}, ["no judge 'beauty'"]),
        ({"passes": [{}, {"payloads": ["bird"]}]}, ["Pass 3: The payload 'bird' is not there"]),
        ({"passes": [{"scorers": [{"id": "beauty"}]}]}, ["Pass 2: There is no judge 'beauty'"]),
        ({"passes": [{"trials": 0.5}]}, ["Pass 2: The number of trials"]),
        ({"parameters": {"alpha": {"vary": True, "text": "0.8..0.2"}}}, ["alpha", "not below"]),
        ({"parameters": {"alpha": {"vary": False, "text": "much"}}}, ["'much' is not a number"]),
        ({"parameters": {"alpha": {"vary": False, "text": "0.5"}}}, ["Nothing is left to search"]),
        ({"vary": {"mode": "everything"}}, ["'everything' is no way to vary"]),
        ({"vary": {"mode": "curve", "points": "many"}}, ["whole number"]),
        ({"vary": {"mode": "curve", "shape": "wavy"}}, ["must be one of"]),
        ({"vary": {"mode": "custom", "custom": "IN*: 0..1 curve 3"}}, ["Line 1", "needs a name"]),
        ({"vary": {"mode": "custom", "custom": "x = IN*: 0..1 curve"}}, ["Line 1", "is no curve"]),
        ({"vary": {"mode": "custom", "custom": "x = IN*: 0..1 curve 3 wavy"}}, ["Line 1", "smooth, linear"]),
        ({"vary": {"mode": "custom", "custom": "x = IN*: 0..1 curve 3\nx = OUT*: 0..1"}}, ["Line 2", "line above"]),
        ({"vary": {"mode": "custom", "custom": "  \n# nothing"}}, ["at least one block"]),
        ({"vary": {"mode": "custom", "custom": "IN00 0..1"}}, ["Line 1", "colon"]),
        ({"vary": {"mode": "custom", "custom": "BASE: 0..1\nIN99: 0..1"}}, ["Line 2", "'IN99'"]),
        ({"vary": {"mode": "custom", "custom": "IN00: 1..0"}}, ["Line 1", "not below"]),
        ({"vary": {"mode": "custom", "custom": "IN00 alhpa: 0..1"}}, ["'alhpa'", "Did you mean 'alpha'"]),
    ],
)  # fmt: skip
def test_bad_input_gets_its_sentence(changes: dict[str, Any], words: list[str]) -> None:
    sentences = problems(**changes)
    assert any(all(word in sentence for word in words) for sentence in sentences), sentences


def test_every_problem_is_named_in_one_pass() -> None:
    sentences = problems(models=["a", "a", ""], payloads=[], scorers=[], trials=0, method="nope")
    assert len(sentences) == 5


def test_how_scores_are_combined_arrives() -> None:
    assert plan().combining == Combining()
    old = dict(default_form("a", "b", ["cat"], ["technical"]))
    del old["combining"]
    assert plan_from_form(old, CHOICES).combining == Combining()
    given = {"scale": "typical", "mean": "min", "payload_mean": "median", "spread": "0.25"}
    assert plan(combining=given).combining == Combining("typical", "min", "median", 0.25)
    assert plan(combining={"spread": ""}).combining == Combining()
    assert plan(combining={"guards": ["blank"]}).combining == Combining(guards=("blank",))


def test_a_judge_may_look_at_some_payloads_or_be_watched_only() -> None:
    rows = [
        {"id": "technical", "weight": 1, "payloads": " cat, d* ,"},
        {"id": "similarity", "weight": "0", "axis": "left over", "options": {"reference": "/x.png"}},
        {"id": "manual", "weight": 1, "ratings": "style, prompt", "payloads": "cat"},
    ]
    technical, watched, *ratings = plan(scorers=rows).scorers
    assert technical.payloads == ("cat", "d*")
    assert (watched.weight, watched.axis, watched.payloads) == (0.0, "", ())
    assert [rating.payloads for rating in ratings] == [("cat",), ("cat",)]


def test_scorer_options_and_weights_arrive() -> None:
    rows = [
        {"id": "similarity", "weight": "2.5", "options": {"reference": " /x.png ", "scale": "0.5"}},
        {"id": "manual", "weight": 1, "options": {"empty": "  "}},
    ]
    specs = plan(scorers=rows).scorers
    assert [(spec.id, spec.weight) for spec in specs] == [("similarity", 2.5), ("manual", 1.0)]
    assert specs[0].options == {"reference": "/x.png", "scale": 0.5}
    assert specs[1].options == {}


def test_objectives_arrive_in_every_pass() -> None:
    rows = [{"id": "manual", "axis": " eyes "}, {"id": "technical", "axis": "picture"}]
    later = [{"name": "", "scorers": [{"id": "technical"}]}, {"name": "", "scorers": rows}]
    made = plan(scorers=rows, passes=later)
    assert [spec.axis for spec in made.scorers] == ["eyes", "picture"]
    assert [[spec.axis for spec in later.scorers or ()] for later in made.passes] == [[""], ["eyes", "picture"]]
    assert [spec.axis for spec in plan(scorers=[{"id": "manual", "axis": None}]).scorers] == [""]


def test_how_many_trials_wait_for_a_person() -> None:
    assert plan(scorers=[{"id": "technical", "weight": 1}]).ahead == 0
    assert plan(scorers=[{"id": "manual", "weight": 1}]).ahead == 1
    assert plan(scorers=[{"id": "manual", "weight": 1, "ahead": "0"}]).ahead == 0
    (sentence,) = problems(scorers=[{"id": "manual", "weight": 1, "ahead": "many"}])
    assert "How many trials may wait for you must be a whole number from 0 to 10" in sentence


def test_stop_rules_arrive_and_empty_fields_set_none() -> None:
    given = {"images": "400", "minutes": 90, "patience": "12", "min_delta": 0.01, "target": "-0.5"}
    assert plan(trials="40", stop=given).budget == Budget(40, 400, 90.0, 12, 0.01, -0.5)
    assert plan(stop=dict.fromkeys(given, " ")).budget == Budget(30)
    assert plan(stop={}).budget == Budget(30)


def test_the_verification_arrives() -> None:
    assert plan().verify == VerifySpec(3)
    held = {"finalists": "5", "payloads": ["dog"], "scorer": "manual"}
    assert plan(verify=held).verify == VerifySpec(5, (CHOICES.payloads["dog"],), (ScorerSpec("manual"),))
    assert plan(verify={**held, "finalists": 0}).verify == VerifySpec(0)


def test_later_passes_arrive_with_what_they_do_otherwise() -> None:
    rows = [
        {"name": " details ", "payloads": ["cat", "dog"], "trials": "12", "free": "IN*, OUT00_alpha", "stop": {}},
        {"name": "", "payloads": None, "scorers": [{"id": "manual", "weight": 2}], "sampler": "tpe", "trials": ""},
        {"stop": {"patience": 4}},
    ]
    cat, dog = CHOICES.payloads.values()
    assert plan(trials=9, passes=rows).passes == (
        PassSpec("details", (cat, dog), budget=Budget(12), free=("IN*", "OUT00_alpha")),
        PassSpec(scorers=(ScorerSpec("manual", 2.0),), sampler=SamplerSpec("tpe", presets=())),
        PassSpec(budget=Budget(9, patience=4)),
    )


def test_the_rest_of_the_form_arrives() -> None:
    made = plan(name=" mine ", seed="7", sampler="tpe", presets=False, save={"checkpoint": False, "dtype": "bf16"})
    assert (made.name, made.seed, made.sampler.id, made.sampler.presets) == ("mine", 7, "tpe", ())
    assert (made.save.checkpoint, made.save.dtype) == (False, "bf16")


def test_the_search_arrives_with_the_options_of_the_chosen_sampler_only() -> None:
    options = {"cma": {"sigma": 0.1, "variant": "full", "population": None}, "tpe": {"group": True}}
    design = {"latin": "4", "vertices": 2, "random": ""}
    spec = plan(sampler="cma", sampler_options=options, design=design).sampler
    assert spec.options == {"sigma": 0.1, "variant": "full"}
    assert spec.design == StartDesign(latin=4, vertices=2)
    assert plan(sampler="auto", sampler_options=options).sampler.options == {}
    assert plan().sampler == SamplerSpec()


def test_presets_may_be_counted() -> None:
    every = SamplerSpec().presets
    assert plan(presets=3).sampler.presets == every[:3]
    assert plan(presets=0).sampler.presets == ()
    assert plan(presets=True).sampler.presets == every


@pytest.mark.parametrize("count", ["many", 2.5])
def test_a_count_of_the_start_design_is_a_whole_number(count: Any) -> None:
    assert "The start design's latin must be a whole number." in problems(design={"latin": count}, payloads=[])


# Recipes and layer adjustments

ADJUSTED = MergeMethod("weighted_sum", "Weighted sum", "", 2, 2, (ALPHA, *ADJUSTMENTS), adjusted=True)
COMPOSING = dataclasses.replace(CHOICES, composed=lambda form, base: ADJUSTED)


def adjusted_space(**parameters: Any) -> tuple[RunPlan, Any]:
    made = plan_from_form(form(adjust=True, parameters=parameters), COMPOSING)
    return made, space_of(made.guide, ADJUSTED, block_map("sd1"))


def test_the_switch_adds_eight_single_dimensions() -> None:
    made, space = adjusted_space()
    assert made.adjust
    names = [p.name for p in space.parameters]
    assert len(names) == 26 + 8
    assert {"contrast", "detail_in"} <= set(names)


def test_unticked_adjustments_are_fixed_and_ranges_are_taken() -> None:
    _, space = adjusted_space(
        contrast={"vary": False, "text": ""},
        brightness={"vary": False, "text": "2"},
        cyan_red={"vary": True, "text": "0..1"},
    )
    fixed = {s.name: s.value for s in space.settings if s.name in ("contrast", "brightness")}
    assert fixed == {"contrast": 0.0, "brightness": 2.0}
    assert next(str(p.bound) for p in space.parameters if p.name == "cyan_red") == "0..1"


def test_a_merge_that_stays_can_be_adjusted() -> None:
    _, space = adjusted_space(alpha={"vary": False, "text": "0.3"})
    assert len(space.parameters) == 8
    assert space.base_blocks == ()
    assert space.assign({p.name: 0.0 for p in space.parameters})["alpha"]["IN05"] == 0.3
    with pytest.raises(PlanError, match="Nothing is left to search"):
        adjusted_space(**{p.name: {"vary": False, "text": ""} for p in (ALPHA, *ADJUSTMENTS)})


def test_a_recipe_goes_into_the_plan_only_as_the_method() -> None:
    recipe = MergeMethod("recipe", "Recipe", "", 2, 2, (ALPHA,), recipe="version", blocks=("IN05",))
    composing = dataclasses.replace(CHOICES, composed=lambda form, base: recipe)
    assert plan_from_form(form(method="recipe", recipe="version 0.1.0 …"), composing).recipe == "version 0.1.0 …"
    assert plan_from_form(form(recipe="version 0.1.0 …"), composing).recipe == ""


def test_one_model_is_enough_for_a_method_that_takes_one() -> None:
    alone = MergeMethod("alone", "Alone", "", 1, 1, (ALPHA,))
    choices = dataclasses.replace(CHOICES, method=lambda name: alone if name == "alone" else _method(name))
    assert len(plan_from_form(form(method="alone", models=["a", "", ""]), choices).models) == 1
    with pytest.raises(PlanError, match="at least two models"):
        plan_from_form(form(models=["a", "", ""]), choices)


def test_a_shared_study_arrives_and_is_off_by_default() -> None:
    assert plan().shared == SharedSpec()
    assert plan(shared={"url": " sqlite:///x.db ", "name": "ours"}).shared == SharedSpec("sqlite:///x.db", "ours")


def test_the_way_of_ones_own_eyes_and_what_belongs_to_another_way_is_left_out() -> None:
    everything = {"comparisons": "3", "pictures": 5}
    row = {"id": "manual", "weight": 2, "ratings": "style", "options": everything}

    def options(way: str) -> tuple[object, ...]:
        (spec,) = plan(scorers=[{**row, "options": {"way": way, **everything}}]).scorers
        return spec.weight, spec.name, dict(spec.options)

    assert options("rate") == (2, "style", {})
    assert options("pairs") == (2, "", {"way": "pairs", "comparisons": 3})
    assert options("grid") == (2, "", {"way": "grid", "comparisons": 3, "pictures": 5})
    empty = plan(scorers=[{"id": "manual", "options": {"way": "pairs", "comparisons": " "}}])
    assert judging_of(empty.scorers) == Judging("manual", "pairs", 2, 2)
    (sentence,) = problems(scorers=[{"id": "manual", "options": {"way": "pairs", "comparisons": "many"}}])
    assert sentence == "The comparisons per trial must be a number."
