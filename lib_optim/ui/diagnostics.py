"""What to paste into an issue: versions, host, settings, the last errors, the self-test. Nothing private unless asked.

GET /optim/api/report?names=1   ``{"text": …}``; `names`: with what is in quotes, and names of files
"""

from __future__ import annotations

import contextlib
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lib_optim import __version__
from lib_optim.plan.errors import OptimError, shown
from lib_optim.ui.http import Call

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager

__all__ = ["DiagnosticsApi", "hidden"]

_ERRORS, _TRACE_LINES = 8, 40
_SHORT = 3  # a name of so few letters is found in other words
_ENDING = r"\.(?:safetensors|ckpt|pt|pth|bin|gguf|png|jpe?g|webp|json|ya?ml|txt|csv|mecha|zip|db)\b"
_FILE = re.compile(rf"[^\s/\\:,;()\[\]]+{_ENDING}")
_PATH = re.compile(rf"(?<![\w/.\\…])(?:[A-Za-z]:)?[\\/][^\n'\"]*?{_ENDING}")  # with spaces in it, too
_QUOTED = re.compile(r"'[^'\n]+'|\"[^\"\n]+\"|`[^`\n]+`")
_SOURCE = re.compile(r'^\s*File "(?:[^"]*[/\\])?([^"/\\]+)", line')


def hidden(text: str) -> str:
    """Return `text` without what may be somebody's own: what is in quotes, names of files, folders, people, machines.

    Names of Python's source files in a trace stay: they say where it happened.
    """
    from lib_optim.selftest.report import anonymous

    lines = []
    for line in text.splitlines():
        source = _SOURCE.match(line)
        rest = line[source.end() :] if source else line
        rest = _FILE.sub("…", _PATH.sub("…", _QUOTED.sub("'…'", rest)))
        lines.append(f'  File "{source[1]}", line{rest}' if source else rest)
    return anonymous("\n".join(lines))


class DiagnosticsApi:
    """The route.

    Args:
        manager: The run manager.
        selftest: Returns the state of the self-test.
    """

    def __init__(self, manager: RunManager, selftest: Callable[[], Mapping[str, Any]]) -> None:
        self._manager, self._selftest = manager, selftest

    def report(self, call: Call) -> dict[str, str]:
        """Return the report."""
        from lib_optim.selftest.report import anonymous

        names = call.query.get("names") == "1"
        private = anonymous if names else hidden
        parts = [*self._program(), "", *(private(line) for line in self._run(names)), "", *self._errors(private)]
        told = self._selftest()
        parts += ["", f"Self-test: {told['state']}", anonymous(str(told.get("text") or ""))]
        text = "\n".join(shown(part) if "\n" not in part else part for part in parts).rstrip() + "\n"
        for name in () if names else self._names():
            text = text.replace(name, "…")
        return {"text": text}

    def _names(self) -> list[str]:
        """Return what the user called things, and prompts, the longest first: whatever form it is said in."""
        found: set[str] = set()
        for checkpoint in self._manager.host.checkpoints():
            found |= {checkpoint.title, checkpoint.path.name, checkpoint.path.stem}
        run = self._manager.snapshot().get("run")
        if run:
            found |= {str(run["folder"]), str(run["name"])}
            with contextlib.suppress(OptimError):
                payloads = self._manager.recorded().resolved.plan.payloads
                found |= {text for row in payloads for text in (row.name, row.prompt, row.negative_prompt)}
        return sorted((name for name in found if len(name) > _SHORT), key=len, reverse=True)

    def _program(self) -> Iterator[str]:
        from lib_optim.run.versions import package_versions

        host = self._manager.host
        can = host.capabilities()
        yield f"Optim {__version__}"
        yield f"Host: {host.title} ({host.id}) {host.version}"
        yield f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
        yield ", ".join(f"{name} {version}" for name, version in package_versions().items())
        yield f"Text encoder: {'yes' if can.text_encoder else 'no'}, VAE: {'yes' if can.vae else 'no'}"

    def _run(self, names: bool) -> Iterator[str]:
        snapshot = self._manager.snapshot()
        run = snapshot.get("run")
        yield f"State: {snapshot['state']}"
        if not run:
            yield "No run was opened."
            return
        yield f"Run: {run['folder'] if names else '…'}, {len(snapshot['trials'])} trials made"
        try:
            plan = self._manager.recorded().resolved.plan
        except OptimError as error:
            yield f"Its plan cannot be read: {error}"
            return
        if names:
            yield f"Models: {', '.join(model.title or model.path for model in plan.models)}"
        yield f"Models: {len(plan.models)}, method: {plan.method}{' with layer adjustment' if plan.adjust else ''}"
        judges = ", ".join(f"{spec.id} ({spec.weight:g})" for spec in plan.scorers)
        yield f"Judges: {judges}; scale {plan.combining.scale}, mean {plan.combining.mean}"
        yield f"Search: {plan.sampler.id}, {plan.budget.trials} trials, {len(plan.passes)} later passes"
        sizes = {f"{payload.width}x{payload.height}" for payload in plan.payloads}
        yield f"Payloads: {len(plan.payloads)}, of {', '.join(sorted(sizes))}; merged on {plan.merge_device}"

    def _errors(self, private: Callable[[str], str]) -> Iterator[str]:
        from lib_optim.run.folder import RunFolder
        from lib_optim.run.log_tail import log_tail

        snapshot = self._manager.snapshot()
        errors = list(snapshot.get("errors") or ())[-_ERRORS:]
        yield f"Errors of the run: {len(errors) or 'none'}"
        yield from (f"- {private(str(error))}" for error in errors)
        if not snapshot.get("run"):
            return
        try:
            entries = log_tail(RunFolder.open(self._manager.outputs, snapshot["run"]["folder"]).log)
        except OptimError:
            return
        for entry in [entry for entry in entries if entry.level not in ("DEBUG", "INFO")][-_ERRORS:]:
            trace = "\n".join(entry.more.splitlines()[-_TRACE_LINES:])
            yield f"{entry.time} {entry.level} {entry.source}: {private(entry.text)}"
            if trace:
                yield private(trace)
