"""What the form can offer: checkpoints, methods, payloads, judges, as JSON for the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim import __version__
from lib_optim.hosts.base import Checkpoint, HostCapabilities
from lib_optim.merging.user_methods import load_user_methods
from lib_optim.plan.adjust import TITLES
from lib_optim.plan.architectures import architecture_of
from lib_optim.plan.blocks import BlockMap, block_map
from lib_optim.plan.errors import PlanError
from lib_optim.plan.header import read_header
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.own_maps import BLOCK_MAPS_FOLDER, own_maps
from lib_optim.plan.payload import Payload
from lib_optim.plan.payload_file import load_payload, payload_files
from lib_optim.plan.scorers import MANUAL
from lib_optim.run.own_folders import methods_folder, scorers_folder
from lib_optim.scoring.groups import GROUPS, group_of
from lib_optim.scoring.user_scorers import load_user_scorers
from lib_optim.ui.form import Choices, default_form
from lib_optim.ui.model_list import lora_files, model_rows
from lib_optim.ui.own_methods import own_methods
from lib_optim.ui.own_scorers import own_scorers
from lib_optim.ui.payload_fields import payload_fields_json
from lib_optim.ui.payload_store import pictures_in

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager
    from lib_optim.scoring.base import ScorerRow
    from lib_optim.search.sampler_row import SamplerRow

__all__ = ["Catalog"]

_SHIPPED_PAYLOADS = Path(__file__).resolve().parents[2] / "payloads"
_DEMO = "demo-"  # begins the names of the standalone host's tiny checkpoints, and of the payloads that suit them
_DEMO_JUDGE, _DEMO_TRIALS = "demo", 60  # the one that knows their pictures; about two minutes on two cores
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
        models = model_rows(host, refresh)
        payloads, problems = self._payloads()
        own = own_scorers(self._scorers_folder, refresh and not self._manager.active)
        scorers = [_scorer_json(row) for row in _scorer_rows()]
        capabilities = host.capabilities()
        loaded = self._loaded()
        sets = _payload_sets(payloads)
        pair = _first_pair(models, loaded)
        demo = Path(pair[0]).name.startswith(_DEMO)
        first, judges = (sets["demo"], [_DEMO_JUDGE]) if demo else (sets["usual"], _easiest(scorers))
        return {
            "version": __version__,
            "host": {"id": host.id, "title": host.title, "version": host.version},
            "folders": {"models": str(host.paths().models), "payloads": [str(path) for path, _ in self._folders()]},
            "can": {"text_encoder": capabilities.text_encoder, "vae": capabilities.vae},
            "models": models,
            "loaded": loaded,
            "vaes": _vaes(host.paths().vaes),
            "block_maps": self._own_maps(),
            "payloads": [_payload_json(payload, own, capabilities) for payload, own in payloads.values()],
            "payload_problems": problems,
            "payload_fields": payload_fields_json(capabilities, pictures_in(self.payloads_folder)),
            "payload_sets": sets,
            "scorers": scorers,
            "scorer_groups": [{"id": group.id, "title": group.title} for group in GROUPS],
            "own_scorers": own,
            "samplers": _sampler_rows(),
            "form": {**default_form(*pair, first, judges), **({"trials": _DEMO_TRIALS} if demo else {})},
        }

    def methods(self) -> list[dict[str, Any]]:
        """Return every merge method, the classic two first; the first call imports sd-mecha."""
        from lib_optim.merging.methods import merge_methods

        load_user_methods(self._methods_folder)
        rows = [_method_json(method) for method in merge_methods()]
        return sorted(rows, key=lambda row: row["id"] not in _EASY_METHODS)

    def choice(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the method that lets trials choose between several, as one of `methods`.

        Raises:
            PlanError: They do not go together.
        """
        from lib_optim.merging.compose import composed

        load_user_methods(self._methods_folder)
        first, *others = names or [""]
        return _method_json(composed(first, "", False, None, others=others))

    def all_methods(self, refresh: bool = False) -> dict[str, Any]:
        """Return `methods`, and what became of the user's own files.

        Args:
            refresh: Read changed files again, unless a run goes on.
        """
        own = own_methods(self._methods_folder, refresh and not self._manager.active)
        return {"methods": self.methods(), "own": own}

    @property
    def _methods_folder(self) -> Path:
        return methods_folder(self._manager.host)

    def choices(self) -> Choices:
        """Return what the names in a form stand for."""
        from lib_optim.merging.methods import merge_method

        load_user_methods(self._methods_folder)
        models: dict[str, Checkpoint] = {}
        host = self._manager.host
        for checkpoint in (*lora_files(host), *host.checkpoints()):  # of one title, the checkpoint
            models[str(checkpoint.path)] = models[checkpoint.title] = checkpoint
        payloads = {name: payload for name, (payload, _) in self._payloads()[0].items()}
        load_user_scorers(self._scorers_folder)
        scorers = {row.id: {option.name: option.kind for option in row.options} for row in _scorer_rows()}
        keys = lambda path: read_header(path).floating  # noqa: E731
        maps = {row.name: row for row in own_maps(self._maps_folder)}
        return Choices(models, payloads, scorers, merge_method, _blocks_of, keys, _composed, maps)

    @property
    def _scorers_folder(self) -> Path:
        return scorers_folder(self._manager.host)

    @property
    def _maps_folder(self) -> Path:
        return self._manager.host.paths().data / BLOCK_MAPS_FOLDER

    def _own_maps(self) -> dict[str, Any]:
        rows = [
            {"name": row.name, "architecture": row.architecture, "problems": list(row.problems)}
            for row in own_maps(self._maps_folder)
        ]
        return {"folder": str(self._maps_folder), "maps": rows}

    def _loaded(self) -> str:
        name = self._manager.host.state().checkpoint or ""
        for checkpoint in self._manager.host.checkpoints():
            if name in (checkpoint.title, str(checkpoint.path)):
                return checkpoint.title
        return ""

    def _folders(self) -> Iterator[tuple[Path, bool]]:
        """Yield folder and whether it is the user's own; a name in a later one wins."""
        yield _SHIPPED_PAYLOADS, False
        yield self.payloads_folder, True

    @property
    def payloads_folder(self) -> Path:
        """The user's own payload files."""
        return self._manager.host.paths().data / "payloads"

    def _payloads(self) -> tuple[dict[str, tuple[Payload, bool]], list[str]]:
        found: dict[str, tuple[Payload, bool]] = {}
        problems: list[str] = []
        for folder, own in self._folders():
            for path in payload_files(folder):
                try:
                    found.update({payload.name: (payload, own) for payload in load_payload(path)})
                except PlanError as error:
                    problems.extend(str(problem) for problem in error.problems)
        return found, problems


def _vaes(folder: Path | None) -> list[dict[str, str]]:
    files = sorted(folder.rglob("*.safetensors")) if folder is not None and folder.is_dir() else []
    return [{"path": str(path), "title": path.name} for path in files]


def _scorer_rows() -> tuple[ScorerRow, ...]:
    from lib_optim.scoring.registry import scorer_rows

    return scorer_rows()


def _sampler_rows() -> list[dict[str, Any]]:
    from lib_optim.search.samplers import sampler_rows

    note = "The best one for the number of parameters and trials"
    automatic = {"id": "auto", "title": "Automatic", "note": note, "family": "", "missing": "", "options": []}
    return [automatic, *(_sampler_json(row) for row in sampler_rows())]


def _sampler_json(row: SamplerRow) -> dict[str, Any]:
    options = [
        {"name": o.name, "title": o.title, "type": o.type.__name__, "default": o.default, "low": o.low, "high": o.high,
         "help": o.help, "choices": list(o.choices)}
        for o in row.options
    ]  # fmt: skip
    return {
        "id": row.id,
        "title": row.title,
        "note": row.note,
        "family": row.family,
        "missing": row.missing,
        "options": options,
    }


def _method_json(method: MergeMethod) -> dict[str, Any]:
    row = method.to_json()
    for data, parameter in zip(row["parameters"], method.parameters, strict=True):
        data["range"] = str(parameter.bound)
        data["title"] = TITLES.get(parameter.name, "")
    return row


def _composed(form: Mapping[str, Any], base: Path | None) -> MergeMethod:
    """Return the method of a form that is more than a row of the list; a recipe's needs model A to be known in full."""
    from lib_optim.merging.compose import composed

    rows = form.get("parameters") or {}
    named = [name for name, row in rows.items() if row.get("vary") or row.get("text")]
    header = read_header(base) if base is not None else None
    architecture = architecture_of(header) if header is not None else None
    recipe, adjust = str(form.get("recipe") or ""), bool(form.get("adjust"))
    present = header.tensors if header is not None else ()
    others = [str(name) for name in form.get("methods") or ()]
    return composed(str(form.get("method") or ""), recipe, adjust, architecture, present, named, others)


def _blocks_of(path: Path) -> BlockMap:
    architecture = architecture_of(read_header(path))
    if architecture.block_map is None:
        raise PlanError(f"{path.name} is {architecture.title}, which Optim cannot merge yet; choose another model A.")
    return block_map(architecture.block_map)


def _first_pair(models: list[dict[str, Any]], loaded: str) -> tuple[str, str]:
    """Return the paths of what the host has loaded, and of the next checkpoint of its architecture; "" for none."""
    usable = [row for row in models if row["usable"] and row["whole"]]
    first = next((row for row in usable if row["title"] == loaded), usable[0] if usable else None)
    if first is None:
        return "", ""
    same = [row["path"] for row in usable if row["architecture"] == first["architecture"] and row is not first]
    return first["path"], same[0] if same else ""


def _payload_sets(payloads: Mapping[str, tuple[Payload, bool]]) -> dict[str, list[str]]:
    """Return which payloads to begin with: for the tiny demo checkpoints, and for all others (the user's own first)."""
    on = {name: own for name, (payload, own) in payloads.items() if payload.enabled}
    demo = [name for name in on if name.startswith(_DEMO)]
    usual = [name for name, own in on.items() if own] or [name for name in on if name not in demo]
    return {"demo": demo or usual, "usual": usual or demo}


def _easiest(scorers: list[dict[str, Any]]) -> list[str]:
    """Return the first judge that works with no weights and no settings."""
    easy = (
        row["id"]
        for row in scorers
        if row["id"] != MANUAL and not row["weights"] and not any(option["required"] for option in row["options"])
    )
    return [next(easy, MANUAL)]


def _payload_json(payload: Payload, own: bool, can: HostCapabilities) -> dict[str, Any]:
    return {
        "name": payload.name,
        "prompt": payload.prompt,
        "negative_prompt": payload.negative_prompt,
        "size": f"{payload.width}×{payload.height}",
        "steps": payload.steps,
        "images": payload.images,
        "weight": payload.score_weight,
        "own": own,
        "payload": payload.to_json(),
        "unable": [field for field in payload.used_fields() if field not in can.payload_fields],
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
        "group": group_of(row.id),
        "across": row.across,
        "measures": row.measures,
        "fooled_by": row.fooled_by,
        "reads_prompt": row.reads_prompt,
        "licence": row.licence,
        "memory": row.memory,
        "range": row.raw_range or f"{row.typical[0]:g} … {row.typical[1]:g}",
        "lower_is_better": row.lower_is_better,
        "weights": [{"name": weight.name, "bytes": weight.bytes, "url": weight.url} for weight in row.weights],
        "options": options,
    }
