"""From a plan back to the form, so that a ``plan.json`` of the command line can be looked at and changed in the tab."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lib_optim.plan.errors import PlanError
from lib_optim.plan.guide_file import write_guide
from lib_optim.plan.noun import Noun
from lib_optim.plan.payload import Payload, drawn_seeds
from lib_optim.plan.run_plan import Budget, PassSpec, RunPlan, SamplerSpec
from lib_optim.plan.scorers import MANUAL, ScorerSpec
from lib_optim.ui.disk_form import disk_fields
from lib_optim.ui.form import Choices, plan_from_form
from lib_optim.ui.verify_form import default_verify

__all__ = ["PlanForm", "form_of_plan", "lost_fields"]


@dataclasses.dataclass(frozen=True)
class PlanForm:
    """What a plan is in the form.

    Attributes:
        form: As the page takes it.
        new: Payloads that the user has not got yet; the form names them.
        notes: What the user should know, a sentence each.
    """

    form: dict[str, Any]
    new: tuple[Payload, ...] = ()
    notes: tuple[str, ...] = ()


def form_of_plan(plan: RunPlan, payloads: Mapping[str, Payload], block_maps: Mapping[str, str]) -> PlanForm:
    """Return the form that comes to `plan`, as far as a form can say it (`lost_fields` names the rest).

    Args:
        plan: The plan.
        payloads: Name to payload, of all that the form can choose.
        block_maps: Name to text of the user's block maps.
    """
    names = _Names(payloads)
    seeds = f"payload seeds {plan.seed}"
    maps = {text: name for name, text in block_maps.items()}
    form = {
        "name": plan.name,
        "models": [model.path for model in plan.models],
        "method": plan.method,
        "methods": list(plan.methods),
        "recipe": plan.recipe,
        "recipe_path": "",
        "adjust": plan.adjust,
        "parameters": {},
        "vary": {
            "mode": "custom", "text_encoder": True, "vae": False, "custom": write_guide(plan.guide),
            "block_map": maps.get(plan.block_map, ""),
        },
        "payloads": names.of(plan.payloads, seeds),
        "scorers": _judges(plan.scorers, plan.ahead),
        "combining": _fields(plan.combining),
        "sampler": plan.sampler.id,
        "sampler_options": _options(plan),
        "design": plan.sampler.design.to_json(),
        "presets": _presets(plan.sampler),
        "start": [point.to_json() for point in plan.sampler.start],
        "earlier": [point.to_json() for point in plan.sampler.earlier],
        "trials": plan.budget.trials,
        "stop": _stop(plan.budget),
        "verify": {
            **default_verify(), "finalists": plan.verify.finalists,
            "payloads": names.of(plan.verify.payloads, f"held-out seeds {plan.seed}"),
            "scorer": plan.verify.scorers[0].id if plan.verify.scorers else "",
        },
        "passes": [_pass(row, names) for row in plan.passes],
        "seed": plan.seed,
        "merge_device": plan.merge_device,
        "shared": {"url": plan.shared.url, "name": plan.shared.name},
        "save": _fields(plan.save),
        "disk": disk_fields(plan.disk),
    }  # fmt: skip
    notes = []
    if names.new:
        listed = ", ".join(f"'{payload.name}'" for payload in names.new)
        notes.append(f"Added to your own payloads, because the plan has them and the list had not: {listed}.")
    return PlanForm(form, tuple(names.new), tuple(notes))


def lost_fields(plan: RunPlan, form: Mapping[str, Any], choices: Choices) -> list[str]:
    """Return what of `plan` its form does not come to, a sentence each: it would be another run."""
    try:
        again = plan_from_form(form, choices)
    except PlanError as error:
        return [problem.sentence for problem in error.problems]
    asked, got = _comparable(plan), _comparable(again)
    lost = [name for name in asked if asked[name] != got[name]]
    if not lost:
        return []
    return [f"The form cannot say all of this plan's {', '.join(lost)}; start it as it is to have exactly that."]


def _comparable(plan: RunPlan) -> dict[str, Any]:
    models = [model.path for model in plan.models]
    drawn = plan.with_drawn_seeds()  # a plan of a run has them drawn
    return {**{f.name: getattr(drawn, f.name) for f in dataclasses.fields(drawn)}, "models": models}


class _Names:
    """Names of payloads; one that is not known, or is another under its name, becomes a new one."""

    def __init__(self, known: Mapping[str, Payload]) -> None:
        self._known = dict(known)
        self.new: list[Payload] = []

    def of(self, payloads: Sequence[Payload], root: str) -> list[str]:
        """Return names for `payloads`, whose seeds may have been drawn from `root`."""
        undrawn = tuple(self._known.get(payload.name, payload) for payload in payloads)
        drawn = drawn_seeds(undrawn, root)
        return [self._name(*row) for row in zip(payloads, undrawn, drawn, strict=True)]

    def _name(self, payload: Payload, known: Payload, drawn: Payload) -> str:
        if payload.name not in self._known:
            self._add(payload)
        elif payload not in (known, drawn):
            payload = dataclasses.replace(payload, name=self._free(payload.name))
            self._add(payload)
        return payload.name

    def _add(self, payload: Payload) -> None:
        self._known[payload.name] = payload
        self.new.append(payload)

    def _free(self, name: str) -> str:
        return next(free for n in range(2, 10_000) if (free := f"{name} ({n})") not in self._known)


def _fields(noun: Noun) -> dict[str, Any]:
    return {name: value for name, value in noun.to_json().items() if name != "version"}


def _judges(specs: Iterable[ScorerSpec], ahead: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    eyes = [spec for spec in specs if spec.id == MANUAL]
    for spec in specs:
        row = {"id": spec.id, "weight": spec.weight, "options": dict(spec.options), "device": spec.device}
        row |= {"axis": spec.axis, "payloads": ", ".join(spec.payloads)}
        if spec.id == MANUAL:
            if spec is not eyes[0]:
                continue
            row["ahead"] = ahead
            if spec.name:  # several ratings share one row
                row |= {"weight": 1, "ratings": ", ".join(f"{one.name}={one.weight:g}" for one in eyes)}
        rows.append(row)
    return rows


def _presets(sampler: SamplerSpec) -> bool | int:
    every = SamplerSpec().presets
    return True if sampler.presets == every else len(sampler.presets) or False


def _options(plan: RunPlan) -> dict[str, Any]:
    later = [row.sampler for row in plan.passes if row.sampler is not None]
    return {sampler.id: dict(sampler.options) for sampler in (*later, plan.sampler) if sampler.options}


def _stop(budget: Budget) -> dict[str, Any]:
    rules: dict[str, Callable[[], Any]] = {
        "images": lambda: budget.images or "",
        "minutes": lambda: budget.minutes or "",
        "patience": lambda: budget.patience or "",
        "min_delta": lambda: budget.min_delta or "",
        "target": lambda: "" if budget.target is None else budget.target,
    }
    return {name: rule() for name, rule in rules.items()}


def _pass(row: PassSpec, names: _Names) -> dict[str, Any]:
    form: dict[str, Any] = {"name": row.name, "free": ", ".join(row.free)}
    if row.payloads is not None:
        form["payloads"] = names.of(row.payloads, "")
    if row.scorers is not None:
        form["scorers"] = _judges(row.scorers, 0)
    if row.sampler is not None:
        form["sampler"] = row.sampler.id
    if row.budget is not None:
        form |= {"trials": row.budget.trials, "stop": _stop(row.budget)}
    return form
