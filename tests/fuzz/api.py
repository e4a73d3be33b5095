"""Requests to every JSON route: what a page would post, and what must come back whatever is posted."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

from tests.fuzz.harness import sentence_problem
from tests.fuzz.lab import Lab
from tests.fuzz.samples import a_picture
from tests.fuzz.traces import TRACES

__all__ = ["LEFT_OUT", "api_rows", "ask", "form_of"]

LEFT_OUT = {"/optim/api/selftest", "/optim/api/calibrate", "/optim/api/taste"}
"""Posts that begin work of minutes, whatever is in them; their bodies are read by the handlers of others."""


def form_of(lab: Lab) -> dict[str, Any]:
    """Return a form with something in each of its parts."""
    setup = lab.client.get("/optim/api/setup").json()
    form = dict(setup["form"])
    form |= {
        "models": [row["path"] for row in setup["models"]][:2],
        "payloads": ["mine"],
        "vary": {**form["vary"], "mode": "custom", "custom": "IN00-IN05: 0.2..0.8\nM00: =0.5\nOUT*: 0..1 curve 4"},
        "passes": [
            {"name": "fine", "payloads": ["mine"], "scorers": [], "sampler": "tpe", "trials": 3, "free": "IN00"}
        ],
        "start": [{"name": "s", "weights": {"IN00": 0.3}}],
        "parameters": {"alpha": {"vary": True, "text": "0..1"}},
        "scorers": [{"id": "technical", "weight": 1, "options": {}}, {"id": "manual", "weight": 1, "options": {}}],
    }
    return form


def api_rows(lab: Lab) -> list[tuple[str, dict[str, Any]]]:
    """Return path and a body that fits, for every route that takes a post but `LEFT_OUT`."""
    form, run = form_of(lab), lab.run.name
    picture = base64.b64encode(a_picture("PNG")).decode()
    base = form["models"][0]
    one = {"trial": 0, "image": 0, "request": "r-1", "folder": run}
    bodies: dict[str, list[dict[str, Any]]] = {
        "recipe": [{"text": lab.run.best_recipe.read_text()}, {"path": str(lab.run.best_recipe)}],
        "choice": [{"methods": ["weighted_sum", "slerp"]}],
        "check": [{"form": form}],
        "start": [{"form": form}],
        "command": [{"command": "resume", "folder": run, "verify": True},
                    {"command": "choose", "trial": 0, "folder": run},
                    {"command": "stop"}, {"command": "change", "form": form},
                    {"command": "save_trial", "trial": 99, "save": {"dtype": "fp16"}, "name": "x", "folder": run}],
        "score": [{**one, "value": 3.5, "name": ""}],
        "mark": [{**one, "mark": "broken", "on": True}],
        "compare": [{"shown": [[0, 0], [1, 0]], "outcome": "better", "best": 0, "worst": 1, "request": "r-2",
                     "folder": run}, {"undo": "r-2", "request": "r-3", "folder": run}],
        "guide": [{"form": form}, {"form": form, "edit": {"blocks": "IN00", "how": "fixed", "bound": "=0.5"}}],
        "weights": [{"base": base, "text": "0.4", "order": "", "width": 0.1}, {"base": base, "png": picture},
                    {"base": base, "checkpoint": base}],
        "starts": [{"base": base, "run": run, "count": 2, "name": "x"},
                   {"base": base, "csv": "0,score\n1,2", "count": 3}],
        "block_weights": [{"trial": 0, "folder": run}],
        "freeze": [{"folder": run, "freeze": ["in_alpha"]}, {"folder": run}],
        "fork": [{"folder": run, "name": "x", "trials": 3, "take": ["payloads"], "form": form}],
        "run_rename": [{"folder": "no-run", "name": "x"}],
        "run_trash": [{"folder": "no-run"}],
        "run_import": [{"upload": "upload-1", "offset": 0, "data": base64.b64encode(lab.archive[:500]).decode()}],
        "run_import_end": [{"upload": "upload-1", "name": "x"}],
        "payload": [{"payload": {"name": "new", "prompt": "x"}, "instead_of": "new"}],
        "payload_delete": [{"name": "new"}],
        "payload_read": [{"name": "x", "data": picture}, {"name": "x", "infotext": "x\nSteps: 3, Size: 64x64"}],
        "calibrate_sample": [{"session": "s", "name": "x.png", "grade": 1, "prompt": "x", "data": picture}],
        "calibrate_stop": [{}],
        "queue_add": [{"form": form, "lines": "A + B = C"}, {"plan": lab.plan}],
        "queue_command": [{"command": "remove", "id": "x"}, {"command": "move", "id": "x", "by": 1},
                          {"command": "clear"}],
        "payload_picture": [{"name": "x.png", "data": picture}],
        "taste_save": [{"name": "x"}],
    }  # fmt: skip
    return [(f"/optim/api/{name}", body) for name, rows in bodies.items() for body in rows]


def ask(lab: Lab, path: str, body: Any) -> None:
    """Send one request and look at the answer.

    Args:
        lab: Where the routes are.
        path: The address; with `body` None it is asked for with GET, whatever is in it.
        body: JSON data, or the bytes themselves.
    """
    if body is None:
        safe = "/" + quote(path.encode("utf-8", "replace").lstrip(b"/"), safe="/?&=%.:~!$'()*+,;@-")
        answer = lab.client.get(safe[:4000])
    else:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = lab.client.post(path, content=data, headers={"content-type": "application/json"})
    _look_at(answer)


def _look_at(answer: Any) -> None:
    if answer.status_code >= 500:
        raise AssertionError(f"status {answer.status_code}: {answer.text[:300]}\n{TRACES[-1] if TRACES else ''}")
    kind = answer.headers.get("content-type", "")
    if not kind.startswith("application/json"):
        return
    data = answer.json()
    if answer.status_code >= 400 and "error" in data:
        for sentence in [row["sentence"] for row in data.get("problems", ())] or [data["error"]]:
            if trouble := sentence_problem(sentence):
                raise AssertionError(f"status {answer.status_code}: {trouble}")
