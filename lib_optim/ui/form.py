"""From what the form in the tab says to a `RunPlan`: a pure function, every problem in one pass.

The form is the JSON object that the page posts and that `default_form` describes. What varies is written in one
of five modes; ``custom`` takes a guide file (`lib_optim.plan.guide_file`) or lines, of which the first that names a
block wins::

    IN00-IN05: 0.2..0.8        blocks, ranges, wildcards; several with commas
    M00: =0.5                  fixed
    soft = OUT00, OUT01: 0..1  one value for both, by a name of one's own
    deep = IN*: 0..1 curve 4   a curve over their depth
    OUT03/*.attn1.*: =0.3      tensors: a wildcard over keys, of a block or (without the slash) of all
    OUT* beta: 0..1            one method parameter only
    # everything that no line names stays as in model A
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lib_optim.hosts.base import Checkpoint
from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.design import StartDesign
from lib_optim.plan.errors import OptimError, PlanError, Problem
from lib_optim.plan.guide import Guide
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.own_maps import OwnMap
from lib_optim.plan.payload import MAX_SEED, Payload
from lib_optim.plan.run_plan import ModelRef, RunPlan, SamplerSpec, SaveSpec, SharedSpec
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.plan.starts import StartPoint
from lib_optim.ui.budget_form import budget_from_form, default_stop
from lib_optim.ui.combining_form import combining_from_form, default_combining, judged_payloads
from lib_optim.ui.disk_form import disk_from_form
from lib_optim.ui.fields import number, whole
from lib_optim.ui.form_blocks import block_map_text, form_blocks
from lib_optim.ui.guide_form import MODES, guide_from_form
from lib_optim.ui.passes_form import passes_from_form
from lib_optim.ui.ratings_form import own_eyes
from lib_optim.ui.search_form import sampler_from_form
from lib_optim.ui.verify_form import default_verify, verify_from_form

__all__ = ["Choices", "default_form", "form_parts", "judges_from_form", "plan_from_form"]

RECIPE = "recipe"  # the method that `form["recipe"]` is for; as in `lib_optim.merging.recipe_method`


@dataclass(frozen=True)
class Choices:
    """What the names in a form stand for.

    Attributes:
        models: Path or title to the checkpoint. The page sends paths: a host may change a title at any time.
        payloads: Name to payload.
        scorers: Scorer id to option name to option kind (``path``, ``image``, ``text``, ``number``, ``bool``,
            ``choice``); the human judge included.
        method: Method id to its row; raises PlanError.
        blocks: Block map of a checkpoint file; raises OptimError.
        keys: Names of its floating tensors; raises OptimError.
        composed: The method of a form with a recipe, several methods or a layer adjustment, for this model A; raises
            OptimError.
        block_maps: Name to a block map of the user.
    """

    models: Mapping[str, Checkpoint]
    payloads: Mapping[str, Payload]
    scorers: Mapping[str, Mapping[str, str]]
    method: Callable[[str], MergeMethod]
    blocks: Callable[[Path], BlockMap]
    keys: Callable[[Path], Sequence[str]] = lambda _: ()
    composed: Callable[[Mapping[str, Any], Path | None], MergeMethod] | None = None
    block_maps: Mapping[str, OwnMap] = field(default_factory=dict)


def default_form(model_a: str, model_b: str, payloads: Sequence[str], scorers: Sequence[str]) -> dict[str, Any]:
    """Return the form as a new user finds it; working as it is if both models are there."""
    return {
        "name": "",
        "models": [model_a, model_b, ""],
        "method": "weighted_sum",
        "methods": [],
        "recipe": "",
        "recipe_path": "",
        "adjust": False,
        "parameters": {},
        "vary": {"mode": MODES[0], "text_encoder": True, "vae": False, "custom": "", "block_map": ""},
        "payloads": list(payloads),
        "scorers": [{"id": scorer, "weight": 1, "options": {}} for scorer in scorers],
        "combining": default_combining(),
        "sampler": "auto",
        "sampler_options": {},
        "design": StartDesign().to_json(),
        "presets": True,
        "trials": 30,
        "stop": default_stop(),
        "verify": default_verify(),
        "passes": [],
        "seed": 0,
        "start": [],
        "earlier": [],
        "merge_device": "auto",
        "shared": {"url": "", "name": ""},
        "disk": {"gigabytes": "", "format": "png", "quality": 90},
        "save": {"checkpoint": True, "dtype": "fp16", "pruned": False, "vae": "", "fix_clip": False, "name": ""},
    }


def plan_from_form(form: Mapping[str, Any], choices: Choices) -> RunPlan:
    """Return the plan that `form` describes; payload seeds are not drawn yet.

    Raises:
        PlanError: Every problem found, one sentence each. What needs files or the host is not looked at here.
    """
    problems: list[Problem] = []
    models = _models(form, choices, problems)
    method = _method(form, models, choices, problems)
    guide: Guide | None = None
    if method is not None and models:
        try:
            base = Path(models[0].path)
            guide = guide_from_form(form, method, form_blocks(form, choices, base), choices.keys(base))
        except PlanError as error:
            problems.extend(error.problems)
        except OptimError as error:
            problems.append(Problem("models[0]", str(error)))
    payloads = _payloads(form, choices, problems)
    scorers = judges_from_form(form, choices, problems)
    ahead = _ahead(form, problems)
    combining = combining_from_form(form, problems)
    budget = budget_from_form(form, problems)
    verify = verify_from_form(form, choices.payloads, choices.scorers, problems)
    parts = (
        lambda row, found: _payloads(row, choices, found),
        lambda row, found: judges_from_form(row, choices, found),
    )
    passes = passes_from_form(form, *parts, problems)
    seed = whole(form, "seed", 0, MAX_SEED, "The seed", problems)
    save = form.get("save") or {}
    disk = disk_from_form(form, problems)
    starts = tuple(StartPoint.from_json(row, "start") for row in form.get("start") or ())
    sampler = SamplerSpec()
    try:
        sampler = sampler_from_form(form, starts)
    except PlanError as error:
        problems.extend(error.problems)
    if problems or method is None or guide is None:
        raise PlanError(problems or "The form is empty; choose two models and a method.")
    return RunPlan(
        name=str(form.get("name") or "").strip() or _name_of(models),
        models=models,
        method=str(form.get("method") or ""),
        methods=tuple(str(name) for name in form.get("methods") or ()),
        guide=guide,
        payloads=payloads,
        scorers=scorers,
        sampler=sampler,
        budget=budget,
        save=SaveSpec.from_json(save, "save"),
        ahead=ahead,
        shared=_shared(form.get("shared") or {}),
        seed=seed,
        recipe=str(form.get("recipe") or "") if method.id == RECIPE else "",
        adjust=bool(form.get("adjust")),
        merge_device=_merge_device(form),
        block_map=block_map_text(form, choices),
        verify=verify,
        passes=passes,
        combining=combining,
        disk=disk,
    )


def _merge_device(form: Mapping[str, Any]) -> Literal["auto", "cpu", "gpu"]:
    given = form.get("merge_device") or "auto"
    return "cpu" if given == "cpu" else "gpu" if given == "gpu" else "auto"


def form_parts(form: Mapping[str, Any], choices: Choices) -> tuple[Path, MergeMethod]:
    """Return model A and the method of a form that may still lack everything else.

    Raises:
        PlanError: What is wrong with its models or its method.
    """
    problems: list[Problem] = []
    models = _models(form, choices, problems)
    method = _method(form, models, choices, problems)
    if problems or method is None or not models:
        raise PlanError(problems or "The form is empty; choose two models and a method.")
    return Path(models[0].path), method


def _shared(given: Mapping[str, Any]) -> SharedSpec:
    return SharedSpec(str(given.get("url") or "").strip(), str(given.get("name") or "").strip())


def _name_of(models: Sequence[ModelRef]) -> str:
    return " + ".join(Path(model.path).stem for model in models)[:80]


def _models(form: Mapping[str, Any], choices: Choices, problems: list[Problem]) -> tuple[ModelRef, ...]:
    given = [str(title or "").strip() for title in form.get("models") or ()]
    while given and not given[-1]:
        given.pop()
    refs: list[ModelRef] = []
    for i, title in enumerate(given):
        where, letter = f"models[{i}]", "ABCDEFGH"[i % 8]
        if not title:
            problems.append(Problem(where, f"Model {letter} is empty; choose a checkpoint for it."))
        elif title not in choices.models:
            known = {checkpoint.title for checkpoint in choices.models.values()}
            shown = Path(title).name
            hint = did_you_mean(shown, known)
            problems.append(
                Problem(where, f"Model {letter}, '{shown}', is not in the list; refresh it or choose another.{hint}")
            )
        else:
            checkpoint = choices.models[title]
            refs.append(ModelRef(str(checkpoint.path), checkpoint.sha256, checkpoint.title))
    paths = [ref.path for ref in refs]
    for i, path in enumerate(paths):
        if path in paths[:i]:
            first = "ABCDEFGH"[paths.index(path) % 8]
            letters = f"{first} and {'ABCDEFGH'[i % 8]}"
            sentence = f"Models {letters} are the same checkpoint; choose another for one of them."
            problems.append(Problem(f"models[{i}]", sentence))
    if len(given) < _fewest(form, choices):
        problems.append(Problem("models", "A merge needs at least two models; choose model A and model B."))
    return tuple(refs)


def _fewest(form: Mapping[str, Any], choices: Choices) -> int:
    """Return 1 for a form whose method says itself how many models it takes and may be content with one, else 2."""
    if form.get("method") == RECIPE:
        return 1
    try:
        return min(choices.method(str(form.get("method") or "")).min_models, 2)
    except PlanError:
        return 2


def _method(
    form: Mapping[str, Any], refs: Sequence[ModelRef], choices: Choices, problems: list[Problem]
) -> MergeMethod | None:
    models = len(refs)
    try:
        if choices.composed is not None and (form.get("method") == RECIPE or form.get("adjust") or form.get("methods")):
            method = choices.composed(form, Path(refs[0].path) if refs else None)
        else:
            method = choices.method(str(form.get("method") or ""))
    except PlanError as error:
        problems.extend(error.problems)
        return None
    except OptimError as error:
        problems.append(Problem("models[0]", str(error)))
        return None
    if models and not method.takes(models):
        most = "any number" if method.max_models is None else str(method.max_models)
        wanted = str(method.min_models) if most == str(method.min_models) else f"{method.min_models} to {most}"
        sentence = f"{method.title} takes {wanted} models, not {models}; choose another method or other models."
        problems.append(Problem("method", sentence))
    return method


def _payloads(form: Mapping[str, Any], choices: Choices, problems: list[Problem]) -> tuple[Payload, ...]:
    names = [str(name) for name in form.get("payloads") or ()]
    for name in names:
        if name not in choices.payloads:
            hint = did_you_mean(name, choices.payloads)
            problems.append(Problem("payloads", f"The payload '{name}' is not there any more; choose another.{hint}"))
    if not names:
        problems.append(Problem("payloads", "No payload is chosen; a merge is judged by the images of at least one."))
    # What is ticked is wanted, whatever its file says of new plans.
    return tuple(
        dataclasses.replace(choices.payloads[name], enabled=True) for name in names if name in choices.payloads
    )


def _ahead(form: Mapping[str, Any], problems: list[Problem]) -> int:
    """What the form says beside the user's own eyes; one trial, where it says nothing."""
    eyes = next((row for row in form.get("scorers") or () if row.get("id") == MANUAL), None)
    if eyes is None:
        return 0
    return whole({"ahead": eyes.get("ahead", 1)}, "ahead", 0, 10, "How many trials may wait for you", problems)


def judges_from_form(form: Mapping[str, Any], choices: Choices, problems: list[Problem]) -> tuple[ScorerSpec, ...]:
    """Return the judges of a form, and append what is wrong with them to `problems`."""
    rows = form.get("scorers") or ()
    specs: list[ScorerSpec] = []
    for i, row in enumerate(rows):
        where, scorer = f"scorers[{i}]", str(row.get("id"))
        if scorer not in choices.scorers:
            hint = did_you_mean(scorer, choices.scorers)
            problems.append(Problem(where, f"There is no judge '{scorer}'.{hint}"))
            continue
        weight = number(row.get("weight", 1))
        watched = scorer != MANUAL and weight == 0
        if weight is None or (weight <= 0 and not watched):
            only = "" if scorer == MANUAL else ", or 0 to watch it only"
            problems.append(Problem(f"{where}.weight", f"The weight of {scorer} must be a number above 0{only}."))
            continue
        axis = "" if watched else str(row.get("axis") or "").strip()
        payloads = judged_payloads(row)
        if scorer == MANUAL:
            own = own_eyes(row, weight, where, problems)
            specs += [dataclasses.replace(spec, axis=axis, payloads=payloads) for spec in own]
            continue
        options: dict[str, Any] = {}
        for name, value in (row.get("options") or {}).items():
            if value is None or (isinstance(value, str) and not value.strip()):
                continue
            options[str(name)] = _option(value, choices.scorers[scorer].get(name), f"{where}.{name}", problems)
        device = str(row.get("device") or "auto")
        specs.append(ScorerSpec(scorer, weight, device, options, axis=axis, payloads=payloads))
    if not rows:
        sentence = f"No judge is chosen; choose a scorer, or '{MANUAL}' to score the images yourself."
        problems.append(Problem("scorers", sentence))
    return tuple(specs)


def _option(value: Any, kind: str | None, where: str, problems: list[Problem]) -> Any:
    if kind == "number":
        given = number(value)
        if given is None:
            problems.append(Problem(where, f"'{value}' must be a number; correct {where.rsplit('.', 1)[-1]}."))
        return given if given is not None else 0
    return value.strip() if isinstance(value, str) else value
