"""The panel "Try it", and a trial's merge as a model of the form: what the page asks, as JSON.

POST /optim/api/try_space {form, point, now}   the sliders that the form comes to, and where they stand. `point` is one
                                of {values}, {preset}, {weights}, {folder, trial} (no trial: the winner); none: half-way
                                between the models. If it does not fit, they stay at the values `now`
POST /optim/api/try {form, values, payload, seed, parents, request}   make one image; answers at once
POST /optim/api/try_stop                  end it
GET  /optim/api/try                       what is being made, and the last tries
POST /optim/api/try_save {try, save, name}       save its merge as a checkpoint
POST /optim/api/try_weights {form, values}       its block weights, as others write them
POST /optim/api/parent {folder, trial}    save a trial (without one: the winner) and have the host list it
GET  /optim/try_image/{file}              an image of a try, or of a parent
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse

from lib_optim.plan.errors import OptimError, PlanError, RunError
from lib_optim.plan.presets import MIXING_PARAMETERS, PRESETS
from lib_optim.plan.records import Trial
from lib_optim.plan.run_plan import SaveSpec
from lib_optim.plan.scorers import MANUAL
from lib_optim.run.check import Resolved
from lib_optim.run.parents import LETTERS
from lib_optim.run.tries import first_jobs
from lib_optim.run.try_folder import Try
from lib_optim.run.try_points import Point, kept_point, preset_point, trial_point, weights_point
from lib_optim.run.weights import block_weights
from lib_optim.ui.form import Choices, default_form, plan_from_form
from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["TryApi"]

_OF_FORM = (
    "name", "models", "method", "methods", "recipe", "recipe_path", "adjust", "parameters", "vary", "payloads", "seed",
    "merge_device", "save",
)  # fmt: skip
_SHOWN = ("number", "values", "payload", "seed", "file", "recipe", "seconds", "request", "created")


class TryApi:
    """The routes.

    Args:
        manager: The run manager.
        choices: Returns what the names in a form stand for.
    """

    def __init__(self, manager: RunManager, choices: Callable[[], Choices]) -> None:
        self._manager, self._choices = manager, choices

    def space(self, call: Call) -> dict[str, Any]:
        """Return ``parameters``, ``values``, ``notes``, ``payloads``, ``models``, ``presets``; and ``problems``, which
        are an answer, no error."""
        empty: dict[str, Any] = {
            "parameters": [], "fixed": 0, "values": {}, "notes": [], "payloads": [], "models": [], "presets": [],
            "problems": [],
        }  # fmt: skip
        try:
            resolved = self._resolved(call)
        except PlanError as error:
            return {**empty, "problems": [problem.sentence for problem in error.problems]}
        problems: list[str] = []
        try:
            point = self._point(call, resolved)
        except OptimError as error:
            problems = [p.sentence for p in error.problems] if isinstance(error, PlanError) else [str(error)]
            given = call.body.get("now")
            point = kept_point(resolved, given if isinstance(given, Mapping) else {})
        mixes = any(p.method_parameter in MIXING_PARAMETERS for p in resolved.space.parameters)
        return {
            "parameters": [
                {
                    "name": p.name,
                    "kind": p.bound.kind,
                    "low": p.bound.low,
                    "high": p.bound.high,
                    "step": p.bound.step,
                    "log": p.bound.log,
                    "choices": list(p.bound.choices),
                    "parameter": p.method_parameter,
                    "blocks": list(p.blocks),
                }
                for p in resolved.space.parameters
            ],
            "fixed": len(resolved.space.settings),
            "values": dict(point.values),
            "notes": list(point.notes),
            "payloads": [{"name": name, "seed": job.seed} for name, job in first_jobs(resolved.jobs).items()],
            "models": [
                {"model": letter, "title": path.name}
                for letter, path in zip(LETTERS, resolved.models, strict=False)
            ],
            "presets": [row.name for row in PRESETS] if mixes else [],
            "problems": problems,
        }  # fmt: skip

    def make(self, call: Call) -> dict[str, Any]:
        """Begin a try.

        Raises:
            RunError: A run is going on.
            PlanError: The form cannot be merged, or the values do not fit it.
        """
        seed, payload = call.body.get("seed"), str(call.body.get("payload") or "")[:500]
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise Refused(400, "'seed' must be a whole number, or null for the payload's own.")
        if self._manager.active:
            raise RunError("A run is going on, and needs the model; try merges before it, or once it has ended.")
        resolved = self._resolved(call)
        values = _values(call, resolved)
        self._manager.try_merge(
            resolved, values, payload=payload, seed=seed,
            parents=call.body.get("parents") is True, request=str(call.body.get("request") or "")[:200],
        )  # fmt: skip
        return self._manager.tries.state()

    def stop(self, call: Call) -> dict[str, Any]:
        """End what is being made."""
        del call
        self._manager.tries.stop()
        return self._manager.tries.state()

    def state(self, call: Call) -> dict[str, Any]:
        """Return what is being made, and the tries that are kept, the newest first."""
        del call
        tries = self._manager.tries
        return {**tries.state(), "tries": [_try_json(record) for record in reversed(tries.folder.tries())]}

    def save(self, call: Call) -> dict[str, Any]:
        """Save the merge of a try."""
        number = call.body.get("try")
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise Refused(400, "'try' must be the number of a try.")
        how = call.body.get("save")
        save = None if how is None else SaveSpec.from_json(how, "save")
        saved = self._manager.tries.save(number, save, str(call.body.get("name") or "")[:200])
        self._manager.host.checkpoints(refresh=True)
        return {"path": str(saved.path), "notes": list(saved.notes)}

    def weights(self, call: Call) -> dict[str, Any]:
        """Return the block weights of the values that the sliders show."""
        resolved = self._resolved(call)
        return {"weights": block_weights(resolved, Trial(0, "complete", _values(call, resolved), "try"))}

    def parent(self, call: Call) -> dict[str, Any]:
        """Save a trial of any run, and return its ``path`` as the host lists it.

        Raises:
            RunError: There is no such run or trial, or the host does not list the file.
            OptimError: It cannot be saved.
        """
        folder, trial = str(call.body.get("folder") or "")[:200], call.body.get("trial")
        if trial is None:
            trial = self._manager.recorded(folder).winner
            if trial is None:
                raise RunError("No trial of that run was scored, so it has no winner; choose one of its trials.")
        if isinstance(trial, bool) or not isinstance(trial, int) or trial < 0:
            raise Refused(400, "'trial' must be a whole number from 0, or null for the winner.")
        saved = self._manager.save_trial(trial, None, "", folder)
        for checkpoint in self._manager.host.checkpoints(refresh=True):
            if checkpoint.path.resolve() == saved.path.resolve():
                path, title = str(checkpoint.path), checkpoint.title
                return {"trial": trial, "path": path, "title": title, "notes": list(saved.notes)}
        raise RunError(f"{saved.path} is saved, but {self._manager.host.title} does not list it; refresh the models.")

    def image(self, call: Call) -> FileResponse:
        """Return an image of a try or of a parent."""
        path = self._manager.tries.folder.image(call.path["file"])
        if path is None:
            raise Refused(404, "There is no such image.")
        # Numbers come again once all tries are gone: asked for anew where they changed.
        headers = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type="image/png", headers=headers)

    def _resolved(self, call: Call) -> Resolved:
        form = call.body.get("form")
        if not isinstance(form, Mapping):
            raise Refused(400, "The request holds no form.")
        choices = self._choices()
        mine = {name: form[name] for name in _OF_FORM if name in form}
        # What a merge does not depend on is left as a new user finds it: nothing there may stand in the way.
        whole = {**default_form("", "", [], [MANUAL]), **mine, "trials": 1}
        return self._manager.tries.resolve(plan_from_form(whole, choices))

    def _point(self, call: Call, resolved: Resolved) -> Point:
        given = call.body.get("point")
        point = given if isinstance(given, Mapping) else {}
        if isinstance(point.get("preset"), str):
            return preset_point(resolved, point["preset"])
        weights = point.get("weights")
        if isinstance(weights, Mapping):
            if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in weights.values()):
                raise Refused(400, "'weights' must be numbers by block.")
            return weights_point(resolved, {str(block): float(weight) for block, weight in weights.items()})
        if isinstance(point.get("folder"), str):
            run = self._manager.recorded(point["folder"][:200])
            number = run.winner if point.get("trial") is None else point["trial"]
            trial = next((trial for trial in run.trials if trial.number == number), None)
            if trial is None:
                raise PlanError(f"{run.folder.name} has no such trial; choose one that it has made.")
            return trial_point(resolved, run.resolved, trial.values, f"trial {trial.number}")
        values = point.get("values")
        return kept_point(resolved, values if isinstance(values, Mapping) else {})


def _values(call: Call, resolved: Resolved) -> dict[str, Any]:
    """Return the values of the request; whole numbers count as numbers where any number may stand."""
    given = call.body.get("values")
    if not isinstance(given, Mapping):
        raise Refused(400, "The request holds no values.")
    floats = {p.name for p in resolved.space.parameters if p.bound.kind == "float"}
    return {
        str(name): float(value) if name in floats and type(value) is int else value for name, value in given.items()
    }


def _try_json(record: Try) -> dict[str, Any]:
    data = record.to_json()
    models = [Path(model.path).name for model in record.plan.models]
    return {
        **{name: data[name] for name in _SHOWN},
        "parents": data["parents"],
        "method": record.plan.method,
        "models": models,
    }
