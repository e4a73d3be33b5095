"""The JSON routes, over a plain app: what they do, and whom they refuse."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lib_optim.plan.errors import HostError
from lib_optim.ui.routes import mount
from tests.ui.fake import SDXL_KEYS, FakeManager, write_checkpoint

pytestmark = pytest.mark.ui

JSON = {"content-type": "application/json"}


def default_form(client: TestClient, **changes: Any) -> dict[str, Any]:
    form = client.get("/optim/api/setup").json()["form"]
    return {**form, **changes}


def names(setup: dict[str, Any]) -> list[str]:
    """Return the names of the files that the form begins with."""
    return [Path(path).stem for path in setup["form"]["models"] if path]


def start(client: TestClient, **changes: Any) -> str:
    answer = client.post("/optim/api/start", json={"form": default_form(client, **changes)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["folder"])


def until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_mounting_twice_adds_nothing_and_a_new_app_gets_its_routes(manager: FakeManager) -> None:
    first, second = FastAPI(), FastAPI()
    mount(first, manager)  # type: ignore[arg-type]
    count = len(first.routes)
    mount(first, manager)  # type: ignore[arg-type]
    mount(second, manager)  # type: ignore[arg-type]
    assert len(first.routes) == count == len(second.routes)


def test_setup_offers_what_is_there_and_pairs_one_architecture(client: TestClient, manager: FakeManager) -> None:
    setup = client.get("/optim/api/setup").json()
    assert setup["loaded"] == "dreamlike_v6"
    assert names(setup) == ["dreamlike_v6", "aurora_v2"]
    assert {row["title"]: row["architecture"] for row in setup["models"]}["big_xl"] == "sdxl"
    assert setup["form"]["payloads"] == ["forest", "lighthouse"]
    assert setup["form"]["scorers"] == [{"id": "technical", "weight": 1, "options": {}}]
    assert {row["id"] for row in setup["scorers"]} >= {"imagereward", "clipscore", "technical", "similarity", "manual"}


def test_setup_pairs_sdxl_with_sdxl(client: TestClient, manager: FakeManager) -> None:
    write_checkpoint(manager.host.folder / "models" / "other_xl.safetensors", SDXL_KEYS)
    manager.host.loaded = "other_xl"
    assert names(client.get("/optim/api/setup?refresh=1").json()) == ["other_xl", "big_xl"]


def test_setup_survives_broken_files(client: TestClient, manager: FakeManager) -> None:
    (manager.host.folder / "models" / "aaa.safetensors").write_bytes(b"not a checkpoint")
    (manager.host.folder / "data/payloads/bad.json").write_text("{")
    (manager.host.folder / "models" / "lora.safetensors").write_bytes(
        write_checkpoint(manager.host.folder / "x.safetensors", ("lora_unet.alpha",)).read_bytes()
    )
    setup = client.get("/optim/api/setup").json()
    rows = {row["title"]: row for row in setup["models"]}
    assert not rows["aaa"]["usable"]
    assert not rows["lora"]["usable"]
    assert "bad.json" in setup["payload_problems"][0]
    assert names(setup) == ["dreamlike_v6", "aurora_v2"]


def test_methods_begin_with_the_classic_two(client: TestClient) -> None:
    rows = client.get("/optim/api/methods").json()["methods"]
    assert [row["id"] for row in rows[:2]] == ["weighted_sum", "add_difference"]
    assert rows[0]["parameters"][0]["range"] == "0..1"


def test_check_explains_the_plan(client: TestClient) -> None:
    result = client.post("/optim/api/check", json={"form": default_form(client)}).json()
    assert result["problems"] == []
    assert result["images_per_trial"] == 4
    assert len(result["parameters"]) == 26
    assert result["parameters"][0] == {
        "name": "BASE_alpha", "kind": "number", "range": "0..1", "parameter": "alpha", "blocks": ["BASE"], "start": 0.0,
    }  # fmt: skip
    assert result["start"] == "preset: all A"
    assert "VAE" in result["kept_blocks"]


def test_the_parameter_table_says_where_the_search_begins(client: TestClient) -> None:
    custom = "BASE: 0..1 step 0.05\nIN*: 0.5..1\nOUT*: 1e-3..1 log"
    form = default_form(client, vary={"mode": "custom", "custom": custom}, start=[])
    result = client.post("/optim/api/check", json={"form": form}).json()
    kinds = {row["name"]: row["kind"] for row in result["parameters"]}
    assert (kinds["BASE_alpha"], kinds["IN05_alpha"]) == ("number, step 0.05", "number")
    assert kinds["OUT11_alpha"] == "number, log"
    assert result["start"] == "preset: all B", "the first that lies within"
    assert {row["start"] for row in result["parameters"]} == {1.0}
    weights = {"BASE": 0.5, **{f"IN{i:02d}": 0.75 for i in range(12)}, **{f"OUT{i:02d}": 0.25 for i in range(12)}}
    form["start"] = [{"name": "mine", "weights": weights}]
    result = client.post("/optim/api/check", json={"form": form}).json()
    assert result["start"] == "start: mine"
    assert [row["start"] for row in result["parameters"]] == [0.5] + [0.75] * 12 + [0.25] * 12
    form = default_form(client, presets=False)
    result = client.post("/optim/api/check", json={"form": form}).json()
    assert (result["start"], result["parameters"][0]["start"]) == ("", None), "the sampler begins"


def test_the_guide_as_a_table_and_as_a_file(client: TestClient) -> None:
    form = default_form(client)
    shown = client.post("/optim/api/guide", json={"form": form}).json()
    assert shown["problems"] == []
    assert [row["block"] for row in shown["rows"]][:2] == ["BASE", "IN00"]
    change = {"blocks": "OUT*", "how": "group", "group": "out", "bound": "0.1..0.9"}
    answer = client.post("/optim/api/guide", json={"form": form, "edit": change}).json()
    assert answer["custom"].splitlines()[-1] == "out = OUT00-OUT11: 0.1..0.9"
    form["vary"] = {"mode": "custom", "custom": answer["file"]}
    result = client.post("/optim/api/check", json={"form": form}).json()
    assert (result["problems"], len(result["parameters"])) == ([], 15)
    assert client.post("/optim/api/guide", json={"form": form}).json()["rows"] == answer["rows"]
    for bad, words in (
        ({"blocks": "OT*"}, "matches no block"),
        ({"blocks": "IN00", "how": "vary", "bound": "1"}, "go with"),
    ):
        refused = client.post("/optim/api/guide", json={"form": form, "edit": {"how": "keep", **bad}}).json()
        assert words in refused["problems"][0]
        assert refused["custom"] is None
    assert client.post("/optim/api/guide", json={"form": form, "edit": 3}).status_code == 400
    assert client.post("/optim/api/guide", json={}).status_code == 400


def test_curves_are_drawn(client: TestClient) -> None:
    form = default_form(client, vary={"mode": "curve", "points": 3, "shape": "linear"})
    (curve,) = client.post("/optim/api/guide", json={"form": form}).json()["curves"]
    assert (curve["name"], curve["ends"]) == ("unet_alpha", ["IN00", "OUT11"])
    assert curve["points"] == [[0.0, 0.2], [0.5, 0.8], [1.0, 0.2]]
    assert curve["line"][15] == [0.25, 0.5]


def test_several_methods_as_one(client: TestClient) -> None:
    row = client.post("/optim/api/choice", json={"methods": ["weighted_sum", "tensor_sum"]}).json()["method"]
    assert [(p["name"], p["range"]) for p in row["parameters"]] == [
        ("alpha", "0..1"),
        ("width", "0..1"),
        ("offset", "0..1"),
    ]
    answer = client.post("/optim/api/choice", json={"methods": ["weighted_sum", "triple_sum"]})
    assert (answer.status_code, "no trial could choose" in answer.json()["error"]) == (400, True)
    assert client.post("/optim/api/choice", json={"methods": "slerp"}).status_code == 400
    rows = {"offset": {"vary": False, "text": "0.25"}}
    form = default_form(client, methods=["tensor_sum"], parameters=rows, vary={"mode": "single"})
    result = client.post("/optim/api/check", json={"form": form}).json()
    assert result["problems"] == []
    assert [row["name"] for row in result["parameters"]] == ["method", "unet_alpha", "unet_width"]
    assert result["parameters"][0] | {"start": ""} == {
        "name": "method", "kind": "choice", "range": "{weighted_sum, tensor_sum}", "parameter": "method", "blocks": [],
        "start": "",
    }  # fmt: skip
    assert {row["value"] for row in result["settings"] if row["parameter"] == "offset"} == {0.25}
    bad = client.post("/optim/api/check", json={"form": {**form, "methods": ["slurp"]}}).json()["problems"]
    assert "no merge method" in bad[0]["sentence"]
    table = client.post("/optim/api/guide", json={"form": form}).json()
    assert {row["parameter"] for row in table["rows"]} == {"alpha", "width"}


def test_a_broken_guide_file_is_named_with_its_line(client: TestClient) -> None:
    form = default_form(client, vary={"mode": "custom", "custom": "components:\n  unet: al"})
    for route in ("check", "guide"):
        (problem,) = client.post(f"/optim/api/{route}", json={"form": form}).json()["problems"]
        assert "Line 2" in (problem if isinstance(problem, str) else problem["sentence"])


def test_block_maps_of_the_user_are_listed_and_used(client: TestClient, manager: FakeManager) -> None:
    folder = manager.host.paths().data / "block_maps"
    folder.mkdir()
    keys = "id: halves\narchitecture: sd1\nblocks:\n- {name: UP, component: unet, keys: ['model']}\n"
    (folder / "halves.yaml").write_text(keys)
    (folder / "empty.yaml").write_text(keys + "- {name: DOWN, component: unet, keys: ['nothing']}\n")
    (folder / "broken.yaml").write_text("id: {")
    rows = {row["name"]: row for row in client.get("/optim/api/setup").json()["block_maps"]["maps"]}
    assert rows["halves"] == {"name": "halves", "architecture": "sd1", "problems": []}
    assert "broken.yaml: Line 1" in rows["broken"]["problems"][0]

    def check(name: str, **changes: Any) -> dict[str, Any]:
        form = default_form(client, vary={"mode": "blocks", "block_map": name}, **changes)
        return dict(client.post("/optim/api/check", json={"form": form}).json())

    assert [row["name"] for row in check("halves")["parameters"]] == ["UP_alpha"]
    sentences = {name: check(name)["problems"][0]["sentence"] for name in ("empty", "broken", "halvs")}
    assert "DOWN of halves holds no tensor" in sentences["empty"]
    assert "broken.yaml: Line 1" in sentences["broken"]
    assert "Did you mean 'halves'" in sentences["halvs"]
    assert "takes the usual blocks" in check("halves", adjust=True)["problems"][0]["sentence"]
    assert (
        "for sd1, but model A is sdxl" in check("halves", models=["big_xl", "aurora_v2", ""])["problems"][0]["sentence"]
    )


def test_check_and_start_give_every_problem_as_a_sentence(client: TestClient, manager: FakeManager) -> None:
    form = default_form(client, models=["dreamlike_v6", "big_xl", ""])
    result = client.post("/optim/api/check", json={"form": form}).json()
    assert "different architectures" in result["problems"][0]["sentence"]
    form = default_form(client, trials=0, payloads=[])
    answer = client.post("/optim/api/start", json={"form": form})
    assert answer.status_code == 400
    assert {problem["where"] for problem in answer.json()["problems"]} == {"trials", "payloads"}
    assert not manager.active
    assert not any(manager.host.paths().outputs.iterdir())


def test_start_takes_a_plan_as_json(client: TestClient, manager: FakeManager) -> None:
    folder = start(client, trials=1)
    until(lambda: not manager.active)
    plan = (manager.host.paths().outputs / folder / "plan.json").read_text()
    answer = client.post("/optim/api/start", content=f'{{"plan": {plan}}}', headers=JSON)
    assert answer.status_code == 200
    assert client.post("/optim/api/start", json={"plan": {"nmae": 1}}).status_code == 400
    assert client.post("/optim/api/start", json={}).status_code == 400


def test_a_second_start_is_refused_in_one_sentence(client: TestClient) -> None:
    start(client)
    answer = client.post("/optim/api/start", json={"form": default_form(client)})
    assert answer.status_code == 409
    assert "going on" in answer.json()["error"]


def test_snapshot_brings_only_what_changed(client: TestClient, manager: FakeManager) -> None:
    start(client, trials=3)
    until(lambda: not manager.active)
    whole = client.get("/optim/api/snapshot?since=0").json()
    assert len(whole["trials"]) == 3
    assert client.get(f"/optim/api/snapshot?since={whole['revision']}").json()["trials"] == []
    assert "1" in client.get("/optim/api/snapshot?since=0&trials=1,x,-2").json()["images"]
    assert client.get("/optim/api/snapshot?since=junk").status_code == 200


def test_commands_reach_the_manager(client: TestClient, manager: FakeManager) -> None:
    start(client)
    for name in ("pause", "go_on", "skip_image", "skip_trial", "finish", "stop"):
        assert client.post("/optim/api/command", json={"command": name}).json() == {"done": name}
    assert manager.commands == ["pause", "go_on", "skip_image", "skip_trial", "finish", "stop"]
    saved = client.post("/optim/api/command", json={"command": "save_trial", "trial": 2}).json()
    assert saved["path"].endswith("trial0002.safetensors")
    for bad in ({"command": "explode"}, {}, {"command": "save_trial"}, {"command": "resume"}):
        assert client.post("/optim/api/command", json=bad).status_code == 400
    until(lambda: not manager.active)
    assert client.post("/optim/api/command", json={"command": "resume", "folder": "nope"}).status_code == 400


def test_a_choice_reaches_the_manager_and_bad_ones_are_refused(client: TestClient, manager: FakeManager) -> None:
    folder = start(client)
    until(lambda: manager.snapshot()["trials"])

    def choose(**body: Any) -> Any:
        return client.post("/optim/api/command", json={"command": "choose", **body})

    assert choose(trial=None, folder=folder).json() == {"done": "choose", "trial": None}
    assert manager.commands == ["choose None"]
    refused = choose(trial=0)
    assert (refused.status_code, refused.json()["error"].split(";")[0]) == (
        409, "Trial 0 is no scored trial of the current search",
    )  # fmt: skip
    for bad in ("1", 1.5, -1, True):
        assert choose(trial=bad).status_code == 400


def test_a_change_in_mid_run_is_a_plan_and_only_then(client: TestClient, manager: FakeManager) -> None:
    form = default_form(client)
    assert client.post("/optim/api/command", json={"command": "change", "form": form}).status_code == 409
    start(client)
    answer = client.post("/optim/api/command", json={"command": "change", "form": {**form, "trials": 9}}).json()
    assert answer == {"done": "change", "pass": 2}
    assert manager.changes[0].budget.trials == 9
    bad = client.post("/optim/api/command", json={"command": "change", "form": {**form, "trials": 0}})
    assert (bad.status_code, bad.json()["problems"][0]["where"]) == (400, "trials")


def test_resume_goes_on_with_an_earlier_run(client: TestClient, manager: FakeManager) -> None:
    folder = start(client, trials=1)
    until(lambda: not manager.active)
    assert [run["folder"] for run in client.get("/optim/api/runs").json()["runs"]] == [folder]
    assert client.post("/optim/api/command", json={"command": "resume", "folder": folder}).status_code == 200
    assert manager.commands[-1] == "resume"


def test_scores_arrive_once_per_request(client: TestClient, manager: FakeManager) -> None:
    start(client, scorers=[{"id": "manual", "weight": 1, "options": {}}])
    until(lambda: manager.snapshot()["waiting"])
    body = {"trial": 0, "image": 0, "value": 7, "request": "r1"}
    for _ in range(3):
        assert client.post("/optim/api/score", json=body).json()["value"] == 7
    assert manager.requests == ["r1"]
    client.post("/optim/api/score", json={**body, "value": None, "request": "r2"})
    assert client.post("/optim/api/score", json=body).status_code == 200, "a late repeat of r1 must not score again"
    assert manager.scores == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": 11},
        {"value": -1},
        {"value": "7"},
        {"value": True},
        {"trial": -1},
        {"image": "0"},
        {"request": ""},
        {"name": 3},
        {"folder": "x" * 300},
    ],
)
def test_wrong_scores_are_refused(client: TestClient, manager: FakeManager, wrong: dict[str, Any]) -> None:
    body = {"trial": 0, "image": 0, "value": 7, "request": "r", **wrong}
    assert client.post("/optim/api/score", json=body).status_code == 400
    assert client.post("/optim/api/score", content='{"trial":0,"image":0,"value":NaN,"request":"r"}', headers=JSON)
    assert manager.scores == {}


def test_marks_and_handing_over(client: TestClient, manager: FakeManager) -> None:
    both = [{"id": "manual", "weight": 1, "options": {}}, {"id": "technical", "weight": 1, "options": {}}]
    folder = start(client, scorers=both)
    until(lambda: manager.snapshot()["waiting"])
    body = {"trial": 0, "image": 0, "mark": "left out", "on": True, "request": "m1", "folder": folder}
    for _ in range(2):
        assert client.post("/optim/api/mark", json=body).json()["on"] is True
    assert manager.marks == {(0, 0): {"left out"}}
    for wrong in ({"mark": "unrated"}, {"mark": ["broken"]}, {"on": 1}, {"image": -1}, {"request": ""}):
        assert client.post("/optim/api/mark", json={**body, **wrong}).status_code == 400
    assert client.post("/optim/api/mark", json={**body, "request": "m2", "folder": "other"}).status_code == 409
    assert manager.requests == ["m1"]
    for command, on in (("hand_over", True), ("take_back", False)):
        assert client.post("/optim/api/command", json={"command": command}).status_code == 200
        assert client.get("/optim/api/snapshot").json()["run"]["handed_over"] is on


def test_several_ratings_per_image(client: TestClient, manager: FakeManager) -> None:
    eyes = {"id": "manual", "weight": 2, "options": {}, "ratings": "anatomy = 2, style"}
    start(client, scorers=[eyes])
    specs = manager.plans[-1].scorers
    assert [(spec.id, spec.name, spec.weight, spec.key) for spec in specs] == [
        ("manual", "anatomy", 4.0, "manual: anatomy"), ("manual", "style", 2.0, "manual: style"),
    ]  # fmt: skip
    until(lambda: manager.snapshot()["waiting"])
    body = {"trial": 0, "image": 0, "value": 7, "request": "a", "name": "anatomy"}
    assert client.post("/optim/api/score", json=body).status_code == 200
    assert manager.ratings[0, 0] == {"manual: anatomy": 7}
    for text, words in (
        ("a=0", "'a' must be a number above 0"), ("a, a", "'a' is named twice"), ("=2", "needs a name"),
        (",".join("abcdefghi"), "9 ratings per image"),
    ):  # fmt: skip
        form = default_form(client, scorers=[{**eyes, "ratings": text}])
        problems = client.post("/optim/api/check", json={"form": form}).json()["problems"]
        assert any(words in problem["sentence"] for problem in problems), text


def test_images_and_nothing_else(client: TestClient, manager: FakeManager, tmp_path: Path) -> None:
    folder = start(client, trials=1)
    until(lambda: not manager.active)
    images = client.get("/optim/api/snapshot").json()["images"]["0"]
    good = client.get(f"/optim/image/{folder}/{images[0]['file']}")
    assert good.status_code == 200
    assert good.headers["content-type"] == "image/png"
    assert good.headers["x-content-type-options"] == "nosniff"
    outputs = manager.host.paths().outputs
    (outputs / folder / "images" / "notes.txt").write_text("private")
    (outputs / "stray.png").write_bytes(b"x")
    (outputs / "norun").mkdir()
    (outputs / "norun" / "a.png").write_bytes(b"x")
    for path in (
        f"{folder}/notes.txt", f"{folder}/plan.json", f"{folder}/..%2fplan.json", f"{folder}/%2e%2e%2f..%2fstray.png",
        "..%2f..%2fetc/passwd", "../stray.png", f"{folder}/../../stray.png", f"{folder}/..%5cplan.json", "norun/a.png",
        f"{folder}/missing.png", "%2e%2e/stray.png", f"{folder}/%2Fetc%2Fpasswd",
    ):  # fmt: skip
        assert client.get(f"/optim/image/{path}").status_code == 404, path


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://testserver"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://testserver.evil.example"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "https://tunnel.example"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://testserver"}, 403),
        ({"origin": "https://tunnel.example", "x-forwarded-host": "tunnel.example"}, 200),
    ],
)
def test_posts_from_foreign_pages_are_refused(
    client: TestClient, manager: FakeManager, headers: dict[str, str], status: int
) -> None:
    assert client.post("/optim/api/command", json={"command": "pause"}, headers=headers).status_code == status
    assert manager.commands == (["pause"] if status == 200 else [])


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"command": "pause"}', "text/plain", 415),
        (b'{"command": "pause"}', "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b" " * 1_100_000, "application/json", 413),
        (b'{"command": "pause"}', "application/json; charset=utf-8", 200),
    ],
)
def test_bodies_must_be_json(client: TestClient, content: bytes, kind: str, status: int) -> None:
    answer = client.post("/optim/api/command", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert (status == 200) == ("error" not in answer.json())


def test_a_local_page_answers_to_its_own_names_only(manager: FakeManager) -> None:
    app = FastAPI()
    mount(app, manager, hosts=("127.0.0.1", "localhost"))  # type: ignore[arg-type]
    client = TestClient(app)
    for host, status in (("127.0.0.1:7860", 200), ("localhost", 200), ("rebound.example:7860", 403), ("", 403)):
        assert client.get("/optim/api/snapshot", headers={"host": host}).status_code == status, host


def test_expected_errors_are_sentences_and_unexpected_ones_tell_nothing(
    client: TestClient, manager: FakeManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise HostError("The host is busy; try again.")

    def burst(*_: object) -> None:
        raise ValueError("/secret/path")

    monkeypatch.setattr(manager, "pause", refuse)
    answer = client.post("/optim/api/command", json={"command": "pause"})
    assert (answer.status_code, answer.json()) == (400, {"error": "The host is busy; try again."})
    monkeypatch.setattr(manager, "pause", burst)
    answer = client.post("/optim/api/command", json={"command": "pause"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "/secret/path" in caplog.text


def test_selftest_runs_once_reports_and_is_refused_during_a_run(
    client: TestClient, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lib_optim.selftest as suite

    class Report:
        failed = ("x",)

    calls: list[object] = []
    monkeypatch.setattr(suite, "run_selftest", lambda host, _: calls.append(host) or Report(), raising=False)
    monkeypatch.setattr(suite, "report_text", lambda report: "29 passed, 1 failed", raising=False)
    assert client.get("/optim/api/selftest").json()["state"] == "idle"
    assert client.post("/optim/api/selftest", json={}).json()["state"] in ("running", "done")
    until(lambda: client.get("/optim/api/selftest").json()["state"] == "done")
    assert client.get("/optim/api/selftest").json() == {"state": "done", "text": "29 passed, 1 failed", "failed": 1}
    assert calls == [manager.host]
    start(client)
    answer = client.post("/optim/api/selftest", json={})
    assert (answer.status_code, "stop it" in answer.json()["error"]) == (409, True)


def test_a_title_that_changes_meanwhile_does_not_spoil_the_form(
    client: TestClient, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = default_form(client)
    before = manager.host.checkpoints()
    # A WebUI adds a hash to the title once it has computed it.
    renamed = tuple(dataclasses.replace(c, title=f"{c.title}.safetensors [0123456789]") for c in before)
    monkeypatch.setattr(manager.host, "checkpoints", lambda refresh=False: renamed)
    assert client.post("/optim/api/check", json={"form": form}).json()["problems"] == []


def test_every_answer_says_its_version_and_another_one_is_refused(client: TestClient) -> None:
    fine, unknown = client.get("/optim/api/runs"), client.get("/optim/image/none/none.png")
    assert {answer.headers["x-optim-api"] for answer in (fine, unknown)} == {"1"}
    assert client.get("/optim/api/runs", headers={"X-Optim-Api": "1"}).status_code == 200
    newer = client.post("/optim/api/command", json={"command": "stop"}, headers={"X-Optim-Api": "2"})
    assert (newer.status_code, "this program has 1" in newer.json()["error"]) == (400, True)
