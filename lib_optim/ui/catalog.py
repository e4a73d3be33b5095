"""What the form can offer: checkpoints, methods, payloads, judges, as JSON for the page."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim import __version__
from lib_optim.hosts.base import Checkpoint
from lib_optim.plan.architectures import Architecture, architecture_of
from lib_optim.plan.blocks import BlockMap, block_map
from lib_optim.plan.errors import OptimError, PlanError
from lib_optim.plan.header import read_header
from lib_optim.plan.payload import Payload, load_payload
from lib_optim.plan.scorers import MANUAL
from lib_optim.ui.form import Choices, default_form

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager
    from lib_optim.scoring.base import ScorerRow

__all__ = ["Catalog"]

_SHIPPED_PAYLOADS = Path(__file__).resolve().parents[2] / "payloads"
_DEMO = "demo-"  # begins the names of the standalone host's tiny checkpoints, and of the payloads that suit them
_EASY_METHODS = ("weighted_sum", "add_difference")


class Catalog:
    """Looks up what `manager`'s host and our folders offer. Every method may be called from any thread."""

    def __init__(self, manager: RunManager) -> None:
        self._manager = manager

    def setup(self, refresh: bool = False) -> dict[str, Any]:
        """Return all that the form needs but the methods, which cost an import (`methods`).

        Args:
            refresh: Look at the model folders again.
        """
        host = self._manager.host
        models = self._models(refresh)
        payloads, problems = self._payloads()
        scorers = [_scorer_json(row) for row in _scorer_rows()]
        capabilities = host.capabilities()
        loaded = self._loaded()
        sets = _payload_sets(payloads)
        pair = _first_pair(models, loaded)
        first = sets["demo" if Path(pair[0]).name.startswith(_DEMO) else "usual"]
        return {
            "version": __version__,
            "host": {"id": host.id, "title": host.title, "version": host.version},
            "folders": {"models": str(host.paths().models), "payloads": [str(path) for path, _ in self._folders()]},
            "can": {"text_encoder": capabilities.text_encoder, "vae": capabilities.vae},
            "models": models,
            "loaded": loaded,
            "payloads": [_payload_json(payload, own) for payload, own in payloads.values()],
            "payload_problems": problems,
            "payload_sets": sets,
            "scorers": scorers,
            "samplers": _sampler_rows(),
            "form": default_form(*pair, first, _easiest(scorers)),
        }

    def methods(self) -> list[dict[str, Any]]:
        """Return every merge method, the classic two first; the first call imports sd-mecha."""
        from lib_optim.merging.methods import merge_methods

        rows = [method.to_json() for method in merge_methods()]
        for row in rows:
            for parameter, method in zip(row["parameters"], _parameters_of(row["id"]), strict=True):
                parameter["range"] = str(method.bound)
        return sorted(rows, key=lambda row: row["id"] not in _EASY_METHODS)

    def choices(self) -> Choices:
        """Return what the names in a form stand for."""
        from lib_optim.merging.methods import merge_method

        models: dict[str, Checkpoint] = {}
        for checkpoint in self._manager.host.checkpoints():
            models[str(checkpoint.path)] = models[checkpoint.title] = checkpoint
        payloads = {name: payload for name, (payload, _) in self._payloads()[0].items()}
        scorers = {row.id: {option.name: option.kind for option in row.options} for row in _scorer_rows()}
        return Choices(models, payloads, scorers, merge_method, _blocks_of)

    def _models(self, refresh: bool) -> list[dict[str, Any]]:
        able = self._manager.host.capabilities().architectures
        return [
            {"title": checkpoint.title, "path": str(checkpoint.path), **_architecture_json(checkpoint.path, able)}
            for checkpoint in self._manager.host.checkpoints(refresh=refresh)
        ]

    def _loaded(self) -> str:
        name = self._manager.host.state().checkpoint or ""
        for checkpoint in self._manager.host.checkpoints():
            if name in (checkpoint.title, str(checkpoint.path)):
                return checkpoint.title
        return ""

    def _folders(self) -> Iterator[tuple[Path, bool]]:
        """Yield folder and whether it is the user's own; a name in a later one wins."""
        yield _SHIPPED_PAYLOADS, False
        yield self._manager.host.paths().data / "payloads", True

    def _payloads(self) -> tuple[dict[str, tuple[Payload, bool]], list[str]]:
        found: dict[str, tuple[Payload, bool]] = {}
        problems: list[str] = []
        for folder, own in self._folders():
            for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
                try:
                    found.update({payload.name: (payload, own) for payload in load_payload(path)})
                except PlanError as error:
                    problems.extend(str(problem) for problem in error.problems)
        return found, problems


def _scorer_rows() -> tuple[ScorerRow, ...]:
    from lib_optim.scoring.registry import scorer_rows

    return scorer_rows()


def _sampler_rows() -> list[dict[str, str]]:
    from lib_optim.search.samplers import sampler_rows

    automatic = {"id": "auto", "title": "Automatic", "note": "The best one for the number of parameters and trials"}
    return [automatic, *({"id": row.id, "title": row.title, "note": row.note} for row in sampler_rows())]


def _parameters_of(method: str) -> tuple[Any, ...]:
    from lib_optim.merging.methods import merge_method

    return merge_method(method).parameters


def _architecture_json(path: Path, able: tuple[str, ...]) -> dict[str, Any]:
    try:
        stat = path.stat()
        architecture = _architecture(path, stat.st_size, stat.st_mtime_ns)
    except OptimError as error:
        return {"architecture": "", "badge": "?", "usable": False, "problem": str(error), "bytes": 0}
    except OSError as error:
        problem = f"{path.name} cannot be read ({error.strerror or error}); refresh the list."
        return {"architecture": "", "badge": "?", "usable": False, "problem": problem, "bytes": 0}
    usable = architecture.block_map is not None and architecture.id in able
    return {
        "architecture": architecture.id,
        "badge": architecture.title,
        "usable": usable,
        "problem": "" if usable else f"{architecture.title} cannot be merged here yet.",
        "bytes": stat.st_size,
    }


@functools.lru_cache(maxsize=4096)
def _architecture(path: Path, size: int, mtime_ns: int) -> Architecture:
    """Keyed by size and time as well, so that a replaced file is read again."""
    del size, mtime_ns
    return architecture_of(read_header(path))


def _blocks_of(path: Path) -> BlockMap:
    architecture = architecture_of(read_header(path))
    if architecture.block_map is None:
        raise PlanError(f"{path.name} is {architecture.title}, which Optim cannot merge yet; choose another model A.")
    return block_map(architecture.block_map)


def _first_pair(models: list[dict[str, Any]], loaded: str) -> tuple[str, str]:
    """Return the paths of what the host has loaded, and of the next checkpoint of its architecture; "" for none."""
    usable = [row for row in models if row["usable"]]
    first = next((row for row in usable if row["title"] == loaded), usable[0] if usable else None)
    if first is None:
        return "", ""
    same = [row["path"] for row in usable if row["architecture"] == first["architecture"] and row is not first]
    return first["path"], same[0] if same else ""


def _payload_sets(payloads: Mapping[str, tuple[Payload, bool]]) -> dict[str, list[str]]:
    """Return which payloads to begin with: for the tiny demo checkpoints, and for all others (the user's own first)."""
    demo = [name for name in payloads if name.startswith(_DEMO)]
    usual = [name for name, (_, own) in payloads.items() if own] or [name for name in payloads if name not in demo]
    return {"demo": demo or usual, "usual": usual or demo}


def _easiest(scorers: list[dict[str, Any]]) -> list[str]:
    """Return the first judge that works with no weights and no settings."""
    easy = (
        row["id"]
        for row in scorers
        if row["id"] != MANUAL and not row["weights"] and not any(option["required"] for option in row["options"])
    )
    return [next(easy, MANUAL)]


def _payload_json(payload: Payload, own: bool) -> dict[str, Any]:
    return {
        "name": payload.name,
        "prompt": payload.prompt,
        "negative_prompt": payload.negative_prompt,
        "size": f"{payload.width}×{payload.height}",
        "steps": payload.steps,
        "images": payload.images,
        "weight": payload.score_weight,
        "own": own,
    }


def _scorer_json(row: ScorerRow) -> dict[str, Any]:
    options: list[Mapping[str, Any]] = [
        {"name": o.name, "title": o.title, "kind": o.kind, "default": o.default, "required": o.required,
         "choices": list(o.choices)}
        for o in row.options
    ]  # fmt: skip
    return {
        "id": row.id,
        "title": row.title,
        "measures": row.measures,
        "fooled_by": row.fooled_by,
        "reads_prompt": row.reads_prompt,
        "licence": row.licence,
        "memory": row.memory,
        "weights": [{"name": weight.name, "bytes": weight.bytes} for weight in row.weights],
        "options": options,
    }
