"""What somebody says of images side by side.

POST /optim/api/compare {shown, outcome, best, worst, broken, undo, request, folder}   what one click said, or undoes

The ways of it:

    {"shown": [[trial, image], …], "outcome": "better", "best": trial, "worst": trial, "request": …}
    {"shown": …, "outcome": "tie" | "skipped", "request": …}
    {"shown": …, "outcome": "broken", "broken": [trial, …], "request": …}
    {"undo": request of the click to take back, "request": …}

`worst` may be left out for two images. All may name the run that is meant, as ``folder``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["compared"]

_OUTCOMES = ("better", "tie", "broken", "skipped")
_MOST = 9


def compared(call: Call, manager: RunManager) -> dict[str, Any]:
    """Record what the call says.

    Raises:
        Refused: It does not say it in that form.
        RunError: See `RunManager.compare`.
    """
    from lib_optim.run.comparing import Answer  # numpy comes with it, and the tab is registered without

    request, folder = _text(call, "request", least=1), _text(call, "folder", "")
    if "undo" in call.body:
        manager.compare(_text(call, "undo", least=1), request, folder)
        return {"undone": call.body["undo"]}
    shown, outcome = call.body.get("shown"), call.body.get("outcome")
    if outcome not in _OUTCOMES:
        raise Refused(400, f"'outcome' must be one of {', '.join(_OUTCOMES)}.")
    if not isinstance(shown, list) or not 2 <= len(shown) <= _MOST or not all(map(_is_picture, shown)):
        raise Refused(400, "'shown' must be a list of two to nine pairs, trial and image.")
    broken = call.body.get("broken", [])
    if not isinstance(broken, list) or not all(map(_is_number, broken)):
        raise Refused(400, "'broken' must be a list of trials.")
    answer = Answer(
        tuple((trial, image) for trial, image in shown),
        cast("Literal['better', 'tie', 'broken', 'skipped']", outcome),
        _trial(call, "best"),
        _trial(call, "worst"),
        tuple(broken),
    )
    manager.compare(answer, request, folder)
    return {"outcome": outcome}


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**53


def _is_picture(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _trial(call: Call, name: str) -> int | None:
    value = call.body.get(name)
    if value is not None and not _is_number(value):
        raise Refused(400, f"'{name}' must be the number of a trial.")
    return cast("int | None", value)


def _text(call: Call, name: str, default: str | None = None, least: int = 0) -> str:
    value = call.body.get(name, default)
    if not isinstance(value, str) or not least <= len(value) <= 200:
        raise Refused(400, f"'{name}' must be a text of {least} to 200 characters.")
    return value
