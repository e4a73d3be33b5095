"""The WebUI's always-on scripts (ADetailer, ControlNet, …): which there are, and running some of them on an image.

As the WebUI's own API does it (``modules/api/api.py``): a script is named by its title in any case, and gets the
arguments that were sent, for the others the values that its controls begin with. Unlike there, a script that is not
named does not run at all, and one that fails fails the image: the WebUI prints the error and goes on without it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lib_optim.hosts.base import HostScript
from lib_optim.plan.errors import HostError
from lib_optim.plan.payload_extras import FORBIDDEN_SCRIPTS, script_args

__all__ = ["script_rows", "working_on"]

_OURS = "optim"


def script_rows() -> tuple[HostScript, ...]:
    """Return the always-on scripts that a payload may name, by title."""
    rows: dict[str, HostScript] = {}
    for img2img in (False, True):
        source = _runner(img2img)
        for title, script in _titled(source).items():
            arguments = tuple(
                (str(getattr(control, "label", "") or ""), _plain(getattr(control, "value", None)))
                for control in _controls(source, script)
            )
            rows.setdefault(title.lower(), HostScript(title, arguments))
    hidden = {*FORBIDDEN_SCRIPTS, _OURS}
    return tuple(row for key, row in sorted(rows.items()) if key not in hidden)


@contextlib.contextmanager
def working_on(p: Any, named: Mapping[str, Any], img2img: bool, nothing: Any = None) -> Iterator[None]:
    """Have the scripts `named`, and no others, work on the processing object `p`.

    Args:
        p: As the WebUI's API makes it, before it is processed.
        named: `Payload.alwayson_scripts`.
        img2img: Which of the WebUI's two sets of scripts.
        nothing: What stands in ``p.scripts`` where none is named.

    Raises:
        HostError: One of them is not there, or failed.
    """
    if not named:
        p.scripts = nothing
        yield
        return
    from modules import scripts

    source = _runner(img2img)
    known = {title.lower(): script for title, script in _titled(source).items()}
    missing = [name for name in named if name.strip().lower() not in known]
    if missing:
        kind = "img2img" if img2img else "txt2img"
        raise HostError(f"This WebUI has no always-on script {', '.join(missing)} for {kind}; remove it or install it.")
    chosen = {name: known[name.strip().lower()] for name in named}
    arguments: list[Any] = [None] * max((script.args_to or 0 for script in chosen.values()), default=0)
    for name, script in chosen.items():
        first, last = script.args_from or 0, script.args_to or 0
        given = script_args(named[name])
        defaults = [getattr(control, "value", None) for control in _controls(source, script)]
        arguments[first:last] = [*given[: last - first], *defaults[len(given) :]]
    runner = scripts.ScriptRunner()
    # In the WebUI's order, not in the payload's: what comes after what is the scripts' own affair.
    ordered = [script for script in source.alwayson_scripts if script in chosen.values()]
    runner.scripts, runner.alwayson_scripts, runner.selectable_scripts = list(ordered), list(ordered), []
    runner.inputs = source.inputs
    p.is_api = True
    with _failures(ordered) as failed:
        p.script_args = tuple(arguments) or (None,)
        p.scripts = runner
        yield
    if failed:
        raise HostError(f"A script of the payload failed, so the image is not counted: {failed[0]}.")


def _runner(img2img: bool) -> Any:
    try:
        from modules import scripts
    except ImportError:
        return None
    return getattr(scripts, "scripts_img2img" if img2img else "scripts_txt2img", None)


def _titled(source: Any) -> dict[str, Any]:
    """The always-on scripts whose controls were made, by title."""
    found: dict[str, Any] = {}
    for script in getattr(source, "alwayson_scripts", None) or ():
        try:
            title = str(script.title())
        except Exception:  # noqa: BLE001 - somebody else's script; the WebUI lists it without a title, too
            continue
        if script.args_from is not None:
            found.setdefault(title, script)
    return found


def _controls(source: Any, script: Any) -> list[Any]:
    return list(source.inputs[script.args_from or 0 : script.args_to or 0])


def _plain(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return None


@contextlib.contextmanager
def _failures(watched: list[Any]) -> Iterator[list[str]]:
    """Collect what the WebUI reports of the scripts `watched`, which it does nothing else about."""
    from modules import errors

    before = errors.report
    found: list[str] = []
    files = [str(script.filename) for script in watched]

    def report(message: str, *args: Any, **kwargs: Any) -> Any:
        for file in files:
            if file in str(message):
                said = str(message).replace(file, Path(file).name)
                found.append(" ".join(f"{said}: {sys.exc_info()[1] or ''}".split()).rstrip(":. ")[:500])
        return before(message, *args, **kwargs)

    errors.report = report
    try:
        yield found
    finally:
        errors.report = before
