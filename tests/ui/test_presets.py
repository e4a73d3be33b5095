"""Plan presets by name, and plans in and out of the form: the same as `plan.json` of the command line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import RunPlan, VerifySpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.run.folder import RunFolder
from lib_optim.ui.form import plan_from_form
from lib_optim.ui.plan_form import form_of_plan, lost_fields
from tests.ui.fake import FakeManager
from tests.ui.test_every_option import BASE, SEARCH, merged, plan_of
from tests.ui.test_form import CHOICES as TITLED
from tests.ui.test_form import COMPOSING as TITLED_COMPOSING

pytestmark = pytest.mark.ui

BY_PATH = {str(row.path): row for row in TITLED.models.values()}  # the page sends paths
CHOICES, COMPOSING = (dataclasses.replace(row, models={**row.models, **BY_PATH}) for row in (TITLED, TITLED_COMPOSING))


def post(client: TestClient, route: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/optim/api/{route}", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def names(client: TestClient) -> list[str]:
    return [row["name"] for row in client.get("/optim/api/presets").json()["presets"]]


def test_presets_are_kept_renamed_and_put_away(client: TestClient, manager: FakeManager) -> None:
    assert names(client) == []
    post(client, "preset_save", name="  My <b>plan</b>", form={"trials": 7})
    assert names(client) == ["My <b>plan</b>"]
    refused = post(client, "preset_save", 409, name="My <b>plan</b>", form={"trials": 8})["error"]
    assert "write over it, or take another name" in refused
    assert post(client, "preset", name="My <b>plan</b>")["form"] == {"trials": 7}
    post(client, "preset_save", name="My <b>plan</b>", form={"trials": 8}, instead=True)
    assert post(client, "preset", name="My <b>plan</b>")["form"] == {"trials": 8}
    post(client, "preset_save", name="other", form={})
    assert "already" in post(client, "preset_rename", 409, name="other", new="My <b>plan</b>")["error"]
    post(client, "preset_rename", name="My <b>plan</b>", new="Zebra")
    assert names(client) == ["other", "Zebra"]
    where = Path(post(client, "preset_delete", name="Zebra")["trash"])
    assert json.loads(where.read_text())["form"] == {"trials": 8}
    assert where.parent == manager.host.paths().data / "presets" / ".trash"
    assert names(client) == ["other"]
    for command in ("preset", "preset_delete", "preset_rename"):
        assert "no preset" in post(client, command, 409, name="../../gone", new="x")["error"]
    assert "needs a name" in post(client, "preset_save", 409, name=" ", form={})["error"]
    assert "no form" in post(client, "preset_save", 400, name="x")["error"]
    (manager.host.paths().data / "presets" / "broken.json").write_text("{")
    assert names(client) == ["other"]


def differences(one: RunPlan, other: RunPlan) -> list[str]:
    return [f.name for f in dataclasses.fields(one) if getattr(one, f.name) != getattr(other, f.name)]


@pytest.mark.parametrize("row", SEARCH, ids=lambda row: f"{row[0]} {str(row[3])[:30]}")
def test_every_field_of_the_search_comes_back_from_a_plan(row: tuple[str, dict[str, Any], Any, Any, str]) -> None:
    changes = merged(merged(BASE, row[1]), {row[0]: row[3]})
    plan = plan_of(changes)
    made = form_of_plan(plan, CHOICES.payloads, {})
    again = plan_from_form(made.form, COMPOSING if plan.adjust else CHOICES)
    assert differences(plan, again) == []
    assert made.new == ()
    assert lost_fields(plan, made.form, COMPOSING if plan.adjust else CHOICES) == []


def test_the_other_fields_come_back_too() -> None:
    form = {
        "name": "all", "trials": 12,
        "stop": {"images": 100, "minutes": 5, "patience": 4, "min_delta": 0.5, "target": 2},
        "scorers": [
            {"id": "technical", "weight": 2, "payloads": "cat", "axis": "sharp"},
            {"id": "manual", "weight": 1, "ratings": "anatomy=2, style", "ahead": 3, "axis": "mine"},
        ],
        "combining": {"mean": "harmonic", "spread": 0.5},
        "verify": {"finalists": 2, "payloads": ["dog"], "scorer": "technical"},
        "passes": [{"name": "late", "payloads": ["dog"], "sampler": "random", "trials": 5, "free": "IN*"}],
        "disk": {"gigabytes": 1.5, "format": "webp", "quality": 75}, "merge_device": "cpu",
        "shared": {"url": "sqlite:///x.db", "name": "study"},
        "save": {"checkpoint": True, "dtype": "bf16", "pruned": True, "vae": "", "fix_clip": True, "name": "won"},
    }  # fmt: skip
    plan = plan_of(form)
    made = form_of_plan(plan, CHOICES.payloads, {})
    assert differences(plan, plan_from_form(made.form, CHOICES)) == []
    eyes = plan_of({"scorers": [{"id": "manual", "weight": 2, "options": {"way": "pairs", "comparisons": 4}}]})
    assert differences(eyes, plan_from_form(form_of_plan(eyes, CHOICES.payloads, {}).form, CHOICES)) == []


def test_what_a_form_cannot_say_is_named() -> None:
    plan = plan_of({})
    for changes in (
        {"verify": VerifySpec(2, (), (ScorerSpec("technical", device="cuda:1"),))},
        {"guide": dataclasses.replace(plan.guide, bounds={**plan.guide.bounds, "IN_alpha": parse_bound("0..0.5")})},
    ):
        odd = dataclasses.replace(plan, **changes)  # type: ignore[arg-type]
        made = form_of_plan(odd, CHOICES.payloads, {})
        lost = lost_fields(odd, made.form, CHOICES)
        assert (lost == []) == ("guide" in changes)
        assert all("verify" in sentence for sentence in lost)


def test_a_plan_of_a_run_goes_into_the_form_and_out_again(client: TestClient, manager: FakeManager) -> None:
    """Copied from the tab, it is what the command line runs; a run's own file, with its seeds drawn, comes back too."""
    setup = client.get("/optim/api/setup").json()
    form = {**setup["form"], "name": "mine", "trials": 3, "seed": 9}
    plan = post(client, "plan", form=form)["plan"]
    folder = post(client, "start", plan=plan)["folder"]
    assert RunFolder.open(manager.outputs, folder).read_plan() == RunPlan.from_json(plan)
    read = post(client, "plan_read", plan=json.dumps(plan))
    assert read["notes"] == []
    assert post(client, "plan", form=read["form"])["plan"] == plan
    drawn = RunPlan.from_json(plan).with_drawn_seeds()
    assert drawn.to_json() != plan
    again = post(client, "plan_read", plan=drawn.to_json())
    assert again["notes"] == []
    assert post(client, "plan", form=again["form"])["plan"] == plan


def test_payloads_that_the_user_has_not_got_are_added(client: TestClient, manager: FakeManager) -> None:
    setup = client.get("/optim/api/setup").json()
    plan = RunPlan.from_json(post(client, "plan", form=setup["form"])["plan"])
    known = plan.payloads[0]
    others = (Payload("brand new", "a hat"), dataclasses.replace(known, prompt="something else"))
    plan = dataclasses.replace(plan, payloads=(*plan.payloads, *others[:1], others[1]))
    read = post(client, "plan_read", plan=plan.to_json())
    assert read["form"]["payloads"][-2:] == ["brand new", f"{known.name} (2)"]
    assert read["notes"][0] == (
        f"Added to your own payloads, because the plan has them and the list had not: 'brand new', '{known.name} (2)'."
    )
    listed = {row["name"] for row in client.get("/optim/api/setup").json()["payloads"]}
    assert {"brand new", f"{known.name} (2)"} <= listed
    assert len(read["notes"]) == 2  # a name is a part of the plan
    assert "payloads" in read["notes"][1]


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [("{", "not JSON"), ("[]", "must be an object"), ({"name": "x"}, "lacks the field 'models'"), (None, "an object")],
)
def test_what_is_no_plan_is_refused(client: TestClient, plan: Any, sentence: str) -> None:
    assert sentence in post(client, "plan_read", 400, plan=plan)["error"]


def test_a_plan_whose_model_is_gone_still_becomes_a_form(client: TestClient) -> None:
    setup = client.get("/optim/api/setup").json()
    plan = post(client, "plan", form=setup["form"])["plan"]
    plan["models"][1]["path"] = "/gone/else.safetensors"
    read = post(client, "plan_read", plan=plan)
    assert any("'else.safetensors', is not in the list" in note for note in read["notes"])
