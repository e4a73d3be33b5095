"""Every field of the form about the search does something: a row each, which fails where the field is ignored.

A row sets one field to two values and says where the difference must show: in the search that the plan comes to
(simulated: no merge, no image), or in the trials, images and files of a real run with the demo pair. What has a test of
its own instead is in `ELSEWHERE`. A field without a row fails `test_no_field_is_without_a_row`.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from lib_optim.plan.blocks import block_map
from lib_optim.plan.combining import Combining
from lib_optim.plan.curves import CurveShape
from lib_optim.plan.design import StartDesign
from lib_optim.plan.payload import jobs_of
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import DiskSpec, PassSpec, RunPlan, SaveSpec, SharedSpec
from lib_optim.plan.space import space_of
from lib_optim.search.stopping import why_over
from lib_optim.search.study import Search
from lib_optim.ui.form import default_form, plan_from_form
from lib_optim.ui.guide_form import MODES
from tests.search.test_study import score
from tests.ui.test_form import ADJUSTED, CHOICES, COMPOSING, METHODS

SD1 = block_map("sd1")
BASE: dict[str, Any] = {
    "vary": {"mode": "groups"}, "sampler": "random", "presets": False, "trials": 6, "seed": 1,
    "payloads": ["cat", "dog"],
}  # fmt: skip


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes`; a name with a dot is a field within a field."""
    made = copy.deepcopy(dict(base))
    for name, value in changes.items():
        outer, _, inner = name.partition(".")
        if inner:
            made.setdefault(outer, {})[inner] = value
        elif isinstance(value, dict) and isinstance(made.get(outer), dict):
            made[outer] = {**made[outer], **value}
        else:
            made[outer] = value
    return made


def plan_of(changes: Mapping[str, Any]) -> RunPlan:
    filled = merged(merged(default_form("a", "b", ["cat"], ["technical"]), BASE), changes)
    return plan_from_form(filled, COMPOSING if filled["adjust"] else CHOICES)


def search_of(plan: RunPlan) -> dict[str, Any]:
    """What a run of `plan` would try, and why it would end. A merge is scored by its values and takes half a minute."""
    space = space_of(plan.guide, ADJUSTED if plan.adjust else METHODS[plan.method], SD1)
    search = Search(space, SD1, plan.sampler, plan.seed)
    made: list[Trial] = []
    jobs = len(jobs_of(plan.with_drawn_seeds().payloads))
    while not (why := why_over(plan.budget, made, jobs * len(made), jobs)):
        suggestion = search.suggest(len(made))
        value = score(suggestion.values)
        seconds = {"merge": 30.0}
        trial = Trial(len(made), "complete", suggestion.values, suggestion.origin, value=value, seconds=seconds)
        made.append(trial)
        search.add(trial)
    return {
        "asked": [trial.values for trial in made],
        "origins": [trial.origin for trial in made],
        "space": sorted(f"{p.name} {p.bound}" for p in space.parameters),
        "ends": (len(made), why.partition(" ")[0]),
        "applied": [space.assign(made[-1].values), space.base_blocks],
    }


# Field, what else is set, two values, where they must differ: `search_of`'s words.
SEARCH: tuple[tuple[str, dict[str, Any], Any, Any, str], ...] = (
    ("method", {}, "weighted_sum", "ties", "applied"),
    ("adjust", {}, False, True, "space"),
    ("parameters", {}, {}, {"alpha": {"vary": True, "text": "0.2..0.4"}}, "space"),
    ("parameters", {}, {"alpha": {"vary": True, "text": "0..1"}}, {"alpha": {"vary": True, "text": "0..1 step 0.5"}},
     "asked"),
    ("parameters", {"method": "ties"}, {}, {"k": {"vary": False, "text": "0.9"}}, "applied"),
    ("vary.mode", {}, "groups", "blocks", "space"),
    ("vary.mode", {}, "groups", "single", "space"),
    ("vary.mode", {}, "groups", "curve", "space"),
    ("vary.points", {"vary": {"mode": "curve"}}, 3, 5, "space"),
    ("vary.shape", {"vary": {"mode": "curve", "points": 4}}, "smooth", "linear", "applied"),
    ("vary.shape", {"vary": {"mode": "curve", "points": 4}}, "smooth", "polynomial", "applied"),
    ("vary.text_encoder", {}, True, False, "space"),
    ("vary.vae", {}, False, True, "space"),
    ("vary.custom", {"vary": {"mode": "custom"}}, "IN00: 0..1", "IN00: 0..1\nM00: =0.5", "applied"),
    ("vary.custom", {"vary": {"mode": "custom"}}, "IN00: 0..1", "IN00-IN01: 0..1", "space"),
    ("sampler", {"presets": True, "trials": 14}, "random", "tpe", "asked"),
    ("sampler", {}, "random", "auto", "origins"),
    ("sampler_options", {"sampler": "tpe", "trials": 12}, {}, {"tpe": {"n_startup_trials": 3}}, "asked"),
    *((f"design.{kind}", {}, 0, 3, "origins") for kind in StartDesign().counts),
    ("presets", {}, False, True, "origins"),
    ("presets", {}, 2, 4, "asked"),
    ("seed", {}, 1, 2, "asked"),
    ("start", {}, [], [{"version": 1, "name": "mine", "weights": {"IN00": 0.25}}], "asked"),
    ("start", {}, [], [{"version": 1, "name": "mine", "values": {"IN_alpha": 0.25}}], "asked"),
    ("earlier", {"sampler": "cma", "trials": 5, "sampler_options": {"cma": {"begin": "warm start"}}},
     *([{"version": 1, "name": f"t{n}", "values": {"IN_alpha": at + n / 100, "MID_alpha": 0.1 * n,
                                                   "OUT_alpha": at, "text_encoder_alpha": 0.5}, "score": float(n)}
        for n in range(6)] for at in (0.1, 0.8)), "asked"),
    ("trials", {}, 6, 9, "ends"),
    ("payloads", {"stop": {"images": 8}}, ["cat"], ["cat", "dog"], "ends"),
    ("stop.images", {"trials": 9}, "", 8, "ends"),
    ("stop.minutes", {"trials": 9}, "", 2, "ends"),
    ("stop.patience", {"trials": 60}, "", 3, "ends"),
    ("stop.min_delta", {"trials": 60, "stop": {"patience": 3}}, "", 5, "ends"),
    ("stop.target", {"trials": 60}, "", -1.0, "ends"),
)  # fmt: skip


@pytest.mark.parametrize("row", SEARCH, ids=lambda row: f"{row[0]} {row[4]} {str(row[3])[:30]}")
def test_a_field_that_is_ignored_shows_in_the_search(row: tuple[str, dict[str, Any], Any, Any, str]) -> None:
    field, rest, one, other, where = row
    first, again, second = (
        search_of(plan_of(merged(merged(BASE, rest), {field: value})))[where] for value in (one, one, other)
    )
    assert first == again
    assert first != second


# Fields that show in images, files and other workers only, and the test of a real run that fails where one is ignored.
ELSEWHERE: Mapping[str, str] = {
    "name": "tests/run/test_saved_files.py::test_the_winner_is_saved_as_the_plan_says",
    "models": "tests/run/test_run.py::test_live_weights_are_what_sd_mecha_merges_from_the_recipe",
    "methods": "tests/run/test_guide_keys.py::test_a_run_that_chooses_its_method",
    "recipe": "tests/run/test_recipe_runs.py::test_a_recipe_is_optimised_saved_and_resumed",
    "recipe_path": "tests/run/test_recipe_runs.py::test_a_recipe_file_becomes_the_plan_and_the_pages_tree",
    "vary.block_map": "tests/run/test_guide_keys.py::test_a_run_over_blocks_of_ones_own",
    "scorers": "tests/run/test_passes.py::test_other_judges_score_the_stored_images_again",
    "combining.scale": "tests/run/test_values.py::test_a_run_freezes_its_calibration",
    "combining.mean": "tests/run/test_values.py::test_a_run_freezes_its_calibration",
    "combining.payload_mean": "tests/run/test_values.py::test_a_run_freezes_its_calibration",
    "combining.spread": "tests/run/test_values.py::test_a_run_freezes_its_calibration",
    "combining.guards": "tests/run/test_guarding.py::test_guards_are_put_off_one_by_one_and_nothing_is_looked_at_again",
    "verify.finalists": "tests/run/test_verify.py::test_the_finalists_make_new_images_and_the_table_is_recorded",
    "verify.payloads": "tests/run/test_verify.py::test_held_out_prompts_and_judge",
    "verify.scorer": "tests/run/test_verify.py::test_held_out_prompts_and_judge",
    "passes": "tests/run/test_passes.py::test_other_payloads_and_fewer_parameters",
    "passes.name": "tests/run/test_passes.py::test_other_payloads_and_fewer_parameters",
    "passes.payloads": "tests/run/test_passes.py::test_other_payloads_and_fewer_parameters",
    "passes.budget": "tests/run/test_passes.py::test_other_payloads_and_fewer_parameters",
    "passes.free": "tests/run/test_passes.py::test_other_payloads_and_fewer_parameters",
    "passes.scorers": "tests/run/test_passes.py::test_other_judges_score_the_stored_images_again",
    "passes.sampler": "tests/run/test_passes.py::test_other_judges_score_the_stored_images_again",
    "merge_device": "tests/run/test_device.py::test_the_choice",
    "shared.url": "tests/run/test_team.py::test_two_workers_one_killed_in_the_middle",
    "shared.name": "tests/search/test_shared_study.py::test_the_first_worker_says_what_the_study_is_about",
    "shared.patience": "tests/run/test_team.py::test_a_vanished_workers_trial_is_queued_again_once",
    "disk.gigabytes": "tests/run/test_disk.py::test_a_run_pauses_where_its_disk_budget_is_used_up",
    "disk.format": "tests/run/test_pictures.py::test_a_run_writes_its_images_as_the_plan_says",
    "disk.quality": "tests/run/test_pictures.py::test_a_run_writes_its_images_as_the_plan_says",
    "save.checkpoint": "tests/run/test_saved_files.py::test_the_winner_is_saved_as_the_plan_says",
    "save.dtype": "tests/run/test_saved_files.py::test_the_winner_is_saved_as_the_plan_says",
    "save.vae": "tests/run/test_saved_files.py::test_the_winner_is_saved_as_the_plan_says",
    "save.pruned": "tests/run/test_saved_files.py::test_the_winner_is_saved_as_the_plan_says",
    "save.name": "tests/run/test_queue.py::test_the_second_run_takes_the_winner_of_the_first",
    "save.fix_clip": "tests/run/test_saved_files.py::test_the_winner_is_saved_as_the_plan_says",
}
NOT_IN_A_NEW_FORM = {"vary.points", "vary.shape"}
# Of what the form has a part for, every field of the plan: one that is added is asked for here.
NOUNS = {
    "combining": Combining,
    "design": StartDesign,
    "passes": PassSpec,
    "shared": SharedSpec,
    "save": SaveSpec,
    "disk": DiskSpec,
}


def leaves(form: Mapping[str, Any]) -> Iterator[str]:
    for name, value in form.items():
        if isinstance(value, dict) and value:
            yield from (f"{name}.{inner}" for inner in value if inner != "version")
        else:
            yield name


def test_no_field_is_without_a_row() -> None:
    fields = {*leaves(default_form("a", "b", ["cat"], ["technical"])), *NOT_IN_A_NEW_FORM}
    fields |= {f"{part}.{field.name}" for part, noun in NOUNS.items() for field in dataclasses.fields(noun)}
    assert fields ^ {row[0] for row in SEARCH} ^ set(ELSEWHERE) == set()


@pytest.mark.parametrize(("field", "where"), ELSEWHERE.items())
def test_what_is_tested_elsewhere_is_there(field: str, where: str) -> None:
    file, _, name = where.partition("::")
    tree = ast.parse((Path(__file__).resolve().parents[2] / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, field


def test_every_shape_of_a_curve_and_every_mode_has_a_row() -> None:
    tried = {(row[0], value) for row in SEARCH for value in (row[2], row[3]) if isinstance(value, str)}
    assert {value for field, value in tried if field == "vary.shape"} == set(get_args(CurveShape))
    modes = {value for field, value in tried if field == "vary.mode"}
    assert modes | {"custom"} == set(MODES)
