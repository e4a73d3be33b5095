"""Writes docs/api.md from the routes and what their modules say of them: ``python -m tools.api_page``.

A module below lib_optim/ui describes its routes in its docstring, a line each, continued on indented lines:

    POST /optim/api/name {field, other}   what it does
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from lib_optim.ui.http import API_VERSION
from lib_optim.ui.routes import mount

__all__ = ["PAGE", "described", "page", "routes"]

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "api.md"
_LINE = re.compile(r"^(GET|POST) +(/optim/\S+)(.*)$")
_HEAD = f"""# The JSON API

Everything that the tab does goes through these routes, so a program can do it too: beside a WebUI on its address,
with `python -m lib_optim` on `http://127.0.0.1:7861`. Version **{API_VERSION}**: each answer says so in the header
`X-Optim-Api`. A request may ask for a version with the same header; where that is another one, it is refused (status
400) instead of misunderstood. Within a version, fields and routes are added; none is taken away or changes its meaning.

    curl http://127.0.0.1:7861/optim/api/snapshot
    curl -H 'Content-Type: application/json' -d '{{"command": "pause"}}' http://127.0.0.1:7861/optim/api/command

- A `POST` takes one JSON object (`Content-Type: application/json`) and answers with one. In braces: what it holds, not
  all of which is needed; `a | b` means one of them. Behind `?`: what a `GET` may be asked.
- An error is `{{"error": sentence}}` with a status from 400; a plan's also has `problems: [{{where, sentence}}]`.
- A login of the WebUI or of Gradio (`--gradio-auth`) is asked for, with its cookie, or the user and password of the
  WebUI's own API (`--api-auth`). A browser's request from another page is refused; the standalone program answers to
  its own address only.
- A click that may be sent twice (scores, marks, comparisons) has a `request`, any text of one's own; it counts once.
- A *form* is what the tab's left side says (`GET /optim/api/setup` has one with defaults), a *plan* is `plan.json`, as
  `python -m lib_optim run` takes it; the routes `plan` and `plan_read` turn one into the other.

(Written from the routes by `python -m tools.api_page`.)

| | route | what it does |
|---|---|---|
"""


class _Nobody:
    """Routes are made without a look at their manager."""

    host = None


def routes() -> list[tuple[str, str]]:
    """Return method and path of every route, in their order."""
    app = Starlette()
    mount(app, _Nobody())  # type: ignore[arg-type]
    return [
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def described() -> dict[tuple[str, str], tuple[str, str]]:
    """Return what the modules say: method and path to what a request holds, and what it does."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for file in sorted((ROOT / "lib_optim" / "ui").glob("*.py")):
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        entry: list[str] = []
        for line in [*text.splitlines(), ""]:
            begins = _LINE.match(line)
            if entry and (begins or not line.startswith("  ")):
                _take(" ".join(entry), found)
                entry = []
            if begins:
                entry = [line]
            elif entry:
                entry.append(f" {line.strip()}")
    return found


def _take(entry: str, found: dict[tuple[str, str], tuple[str, str]]) -> None:
    match = _LINE.match(entry)
    assert match is not None, entry
    path, _, query = match[2].partition("?")
    holds = r"(\{(?:[^{}]|\{[^{}]*\})*\})?" if match[1] == "POST" else "()"  # in a GET's line it is the answer
    rest = re.match(rf"^ *{holds}(.*)$", match[3])
    assert rest is not None
    asked = rest[1] or (f"?{query}" if query else "")
    found[match[1], path] = (asked, re.sub(r"\s+", " ", rest[2]).strip().replace("``", "`"))


def page() -> str:
    """Return the page.

    Raises:
        KeyError: A route that no module describes.
    """
    said = described()
    lines = []
    for method, path in routes():
        asked, text = said[method, path]
        request = f"{path}{asked}" if asked.startswith("?") else f"{path}` `{asked}" if asked else path
        cells = (method, f"`{request}`", text or "as its name says")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
