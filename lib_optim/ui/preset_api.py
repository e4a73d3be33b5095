"""Presets of the form, and plans in and out of it, as the page asks for them.

GET  /optim/api/presets                          names of the user's presets
POST /optim/api/preset {name}                    the form of one
POST /optim/api/preset_save {name, form, instead}   keep a form; `instead` of one of that name
POST /optim/api/preset_rename {name, new}        another name
POST /optim/api/preset_delete {name}             into the trash folder beside the presets
POST /optim/api/plan {form}                      the plan that a form comes to: what `run plan.json` takes
POST /optim/api/plan_read {plan}                 a plan as a form, and what a form cannot say of it
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import PlanError
from lib_optim.plan.run_plan import RunPlan
from lib_optim.ui.http import Call, Refused
from lib_optim.ui.payload_store import PayloadStore
from lib_optim.ui.preset_store import PresetStore

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager
    from lib_optim.ui.catalog import Catalog

__all__ = ["PresetApi"]


class PresetApi:
    """The routes.

    Args:
        manager: Whose data folder holds them.
        catalog: What a form can name.
        plan_of: Returns the plan that a request describes.
    """

    def __init__(self, manager: RunManager, catalog: Catalog, plan_of: Callable[[Call], RunPlan]) -> None:
        self._manager, self._catalog, self._plan_of = manager, catalog, plan_of

    @property
    def _store(self) -> PresetStore:
        return PresetStore(self._manager.host.paths().data / "presets")

    def names(self, call: Call) -> dict[str, Any]:
        """Return the presets."""
        del call
        return {"presets": self._store.names()}

    def load(self, call: Call) -> dict[str, Any]:
        """Return one."""
        return {"form": self._store.load(_name(call, "name"))}

    def save(self, call: Call) -> dict[str, Any]:
        """Keep a form."""
        form, name = call.body.get("form"), _name(call, "name")
        if not isinstance(form, Mapping):
            raise Refused(400, "The request holds no form.")
        self._store.save(name, form, call.body.get("instead") is True)
        return self.names(call)

    def rename(self, call: Call) -> dict[str, Any]:
        """Give one another name."""
        self._store.rename(_name(call, "name"), _name(call, "new"))
        return self.names(call)

    def delete(self, call: Call) -> dict[str, Any]:
        """Put one away."""
        where = self._store.trash(_name(call, "name"))
        return {**self.names(call), "trash": str(where)}

    def plan(self, call: Call) -> dict[str, Any]:
        """Return the plan of a form.

        Raises:
            PlanError: The form has problems.
        """
        return {"plan": self._plan_of(call).to_json()}

    def read(self, call: Call) -> dict[str, Any]:
        """Return a plan as a form. Payloads that the user has not got are kept as the user's own.

        Raises:
            PlanError: It is no plan.
        """
        from lib_optim.ui.plan_form import form_of_plan, lost_fields

        given = call.body.get("plan")
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except (ValueError, RecursionError) as error:
                raise PlanError(f"The text is not JSON ({error}); copy the whole of a plan.json.") from error
        plan = RunPlan.from_json(given, "plan")
        choices = self._catalog.choices()
        maps = {name: row.text for name, row in choices.block_maps.items()}
        made = form_of_plan(plan, choices.payloads, maps)
        store = PayloadStore(self._catalog.payloads_folder)
        for payload in made.new:
            store.save(payload)
        if made.new:
            choices = self._catalog.choices()
        return {"form": made.form, "notes": [*made.notes, *lost_fields(plan, made.form, choices)]}


def _name(call: Call, field: str) -> str:
    return str(call.body.get(field) or "")[:200]
