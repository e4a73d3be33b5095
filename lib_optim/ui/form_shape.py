"""What the parts of a form are: texts, lists, objects. Looked at before anything reads them, so that nothing stumbles.

What a part says is for those who read it; this is only about its kind. Parts that are absent, null or not listed here
may be anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lib_optim.ui.http import Refused

__all__ = ["checked_form"]

_VALUE = "a text, a number, or true or false"
"""One value, which a person typed or ticked."""
_EVERY = "*"
"""In an object: whatever its names are."""
_LIST = "a list"
_OBJECT = "an object"

_JUDGE: Mapping[str, Any] = {
    "id": _VALUE, "weight": _VALUE, "axis": _VALUE, "device": _VALUE, "ratings": _VALUE, "ahead": _VALUE,
    "options": {_EVERY: _VALUE},
}  # fmt: skip
_STOP: Mapping[str, Any] = {_EVERY: _VALUE}
_FORM: Mapping[str, Any] = {
    "name": _VALUE, "models": [_VALUE], "method": _VALUE, "methods": [_VALUE], "recipe": _VALUE, "recipe_path": _VALUE,
    "parameters": {_EVERY: {"vary": _VALUE, "text": _VALUE}},
    "vary": {_EVERY: _VALUE},
    "payloads": [_VALUE], "scorers": [_JUDGE], "combining": {"guards": [_VALUE], _EVERY: _VALUE},
    "sampler": _VALUE, "sampler_options": {_EVERY: {_EVERY: _VALUE}}, "design": {_EVERY: _VALUE}, "presets": _VALUE,
    "trials": _VALUE, "stop": _STOP, "verify": {"finalists": _VALUE, "payloads": [_VALUE], "scorer": _VALUE},
    "passes": [
        {"name": _VALUE, "payloads": [_VALUE], "scorers": [_JUDGE], "sampler": _VALUE, "trials": _VALUE, "stop": _STOP,
         "free": _VALUE}
    ],
    "seed": _VALUE, "start": [_OBJECT], "earlier": [_OBJECT], "merge_device": _VALUE,
    "shared": {"url": _VALUE, "name": _VALUE}, "save": {_EVERY: _VALUE},
    "disk": {_EVERY: _VALUE},
}  # fmt: skip


def checked_form(form: Any) -> Mapping[str, Any]:
    """Return `form` if its parts are of the kinds that those who read it expect.

    Raises:
        Refused: Status 400 and a sentence on the first part that is not.
    """
    if not isinstance(form, Mapping):
        raise Refused(400, "The request holds no form.")
    for where, wanted in _odd(form, _FORM, ""):
        raise Refused(400, f"'{where}' of the form must be {wanted}; reload the page.")
    return form


def _odd(value: Any, shape: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield path and wanted kind of what is of another kind than `shape`."""
    if value is None:
        return
    if isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            yield where, _OBJECT
            return
        for name, part in value.items():
            inner = shape.get(name, shape.get(_EVERY))
            if inner is not None:
                yield from _odd(part, inner, f"{where}.{name}" if where else str(name))
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield where, _LIST
            return
        for i, part in enumerate(value):
            # An empty place among texts is a text; among objects it is nothing that could be read.
            yield from [(f"{where}[{i}]", _OBJECT)] if part is None and shape[0] != _VALUE else ()
            yield from _odd(part, shape[0], f"{where}[{i}]")
    elif shape == _OBJECT and not isinstance(value, Mapping):
        yield where, _OBJECT
    elif shape == _VALUE and isinstance(value, Mapping | list):
        yield where, _VALUE
