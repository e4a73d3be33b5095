"""What is fuzzed, a row each: valid inputs, how they are spoilt, what generates others, and what reads them."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lib_optim.plan.blocks import block_map
from lib_optim.plan.bounds import parse_bound
from lib_optim.plan.errors import OptimError, PlanError
from tests.fuzz.api import api_rows, ask, form_of
from tests.fuzz.documents import BOUNDS, INFOTEXTS, METADATA, PROMPTS, RECIPES, mbw_table
from tests.fuzz.grammar import GRAMMAR
from tests.fuzz.harness import sentence_problem
from tests.fuzz.lab import Lab
from tests.fuzz.mutate import NASTY_TEXTS, NASTY_VALUES, spoilt_bytes, spoilt_json, spoilt_text
from tests.fuzz.spoil import (
    spoilt_database,
    spoilt_document,
    spoilt_json_bytes,
    spoilt_recipe,
    spoilt_safetensors,
    spoilt_zip,
)

__all__ = ["Target", "targets"]

Spoil = Callable[[Any, random.Random], Any]


@dataclass(frozen=True)
class Target:
    """One reader of what others made.

    Attributes:
        name: In a word or two.
        share: Of all inputs, relative to the others.
        valid: Inputs that it takes.
        spoil: Makes a bad one of a valid one.
        feed: Reads one.
        made: Hypothesis' own inputs, of which every fourth is; None: none.
    """

    name: str
    share: float
    valid: Sequence[Any]
    spoil: Spoil
    feed: Callable[[Any], Any]
    made: st.SearchStrategy[Any] | None = None

    def input(self, seed: int, number: int) -> Any:
        """Return input `number`, the same for the same seed; the first ones are the valid ones themselves."""
        if number < len(self.valid):
            return self.valid[number]
        rng = random.Random(f"{seed} {self.name} {number}")
        return self.spoil(rng.choice(self.valid), rng)


_ANY_TEXT = st.text(st.characters(), max_size=200) | st.sampled_from(NASTY_TEXTS)
_ANY_JSON = st.recursive(
    st.sampled_from(NASTY_VALUES) | st.integers() | st.floats() | _ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


def targets(lab: Lab) -> tuple[Target, ...]:
    """Return all of them."""
    return (*_texts(lab), *_files(lab), *_requests(lab))


def _texts(lab: Lab) -> Sequence[Target]:  # noqa: C901 - rows
    from lib_optim.merging.graph_reader import read_graph
    from lib_optim.merging.recipe_method import recipe_method
    from lib_optim.plan.architectures import ARCHITECTURES
    from lib_optim.plan.guide_file import is_guide_file, read_guide, write_guide
    from lib_optim.plan.infotext import infotext_payload, infotext_prompt
    from lib_optim.plan.own_maps import read_block_map
    from lib_optim.plan.space import space_of
    from lib_optim.plan.start_tables import starts_of_table
    from lib_optim.plan.weight_records import weights_of_infotext, weights_of_metadata
    from lib_optim.plan.weight_strings import parse_weights
    from lib_optim.plan.wildcards import Wildcards

    sd1 = block_map("sd1")
    architecture = next(row for row in ARCHITECTURES if row.id == "sd1")
    method = _method("weighted_sum")
    cards = lab.folder / "wildcards"
    cards.mkdir(exist_ok=True)
    (cards / "animal.txt").write_text("cat\n2::dog\n{big|small} __colour__\n")
    (cards / "colour.txt").write_text("red\nblue\n")

    def guide(text: str) -> None:
        is_guide_file(text)
        found = read_guide(text)
        if read_guide(write_guide(found)) != found:
            raise AssertionError("a guide that is written does not read back")
        space_of(found, method, sd1)

    def recipe(text: str) -> None:
        read_graph(text)
        recipe_method(text, architecture)

    def wildcards(text: str) -> None:
        found = Wildcards(cards)
        if found.open(text):
            found.drawn(text, random.Random(1))
            found.every(text, 50)

    def infotext(text: str) -> None:
        infotext_prompt(text)
        for read in (lambda: infotext_payload(text, "x").payload.problems("x"), lambda: weights_of_infotext(text, sd1)):
            _answered(read)

    def metadata(data: Any) -> None:
        if isinstance(data, dict):
            weights_of_metadata({str(k): v if isinstance(v, str) else json.dumps(v) for k, v in data.items()}, sd1)

    def bound(text: str) -> None:
        found = parse_bound(text)
        if found.problem() is None:
            found.nearest(0.5) if found.kind in ("float", "int") else str(found)

    def map_text(text: str) -> None:
        read_block_map(text).by_block(["model.diffusion_model.input_blocks.1.0.in_layers.0.weight", "x" * 60])

    guides = Path(__file__).parents[1] / "plan" / "guides"
    example, attention = ((guides / f"{name}.yaml").read_text() for name in ("example", "attention"))
    a_guide = json.dumps(lab.plan["guide"])
    weights = (",".join(["0.5"] * 26), "base:.5,in00:1,out09:.8", "all:.5,IN00-IN05:.2,OUT*:1,NOT IN00:0", "GRAD_V",
               "0.4", "base_alpha=0.3\n" + ",".join(["1"] * 25))  # fmt: skip
    return (
        Target("guide file", 4, (example, a_guide), spoilt_document, guide, GRAMMAR["guide"] | _ANY_TEXT),
        Target("block map", 3, (attention,), spoilt_document, map_text, GRAMMAR["map"] | _ANY_TEXT),
        Target("recipe", 4, (lab.run.best_recipe.read_text(), *RECIPES), spoilt_recipe, recipe, _ANY_TEXT),
        Target("table of trials", 4, (lab.run.trials_csv.read_text(), mbw_table()), spoilt_document,
               lambda text: starts_of_table(text, sd1, 5, "x"), GRAMMAR["table"]),
        Target("infotext", 5, INFOTEXTS, spoilt_document, infotext, GRAMMAR["infotext"] | _ANY_TEXT),
        Target("weight string", 5, weights, spoilt_document, lambda text: parse_weights(text, sd1),
               GRAMMAR["weights"] | _ANY_TEXT),
        Target("merge metadata", 3, METADATA, spoilt_json, metadata, st.dictionaries(_ANY_TEXT, _ANY_JSON)),
        Target("bound", 5, BOUNDS, spoilt_document, bound, GRAMMAR["bound"] | _ANY_TEXT),
        Target("A + B lines", 2, _LINES, spoilt_document, _in_order, _ANY_TEXT),
        Target("wildcards", 4, PROMPTS, spoilt_document, wildcards, GRAMMAR["prompt"] | _ANY_TEXT),
    )  # fmt: skip


def _files(lab: Lab) -> Sequence[Target]:  # noqa: C901, PLR0915 - rows
    from lib_optim.merging.lora_file import LoraFile
    from lib_optim.plan.adapters import adapter_of
    from lib_optim.plan.architectures import architecture_of
    from lib_optim.plan.header import read_header
    from lib_optim.plan.payload_file import load_payload
    from lib_optim.run.archive import import_run
    from lib_optim.run.folder import RunFolder
    from lib_optim.run.store import Store
    from lib_optim.scoring.picture_text import infotext_of, opened_picture
    from lib_optim.scoring.state_dicts import read_state_dict
    from lib_optim.scoring.taste_file import read_taste
    from tests.fuzz.samples import a_lora, a_pickle, a_picture, a_taste, short_checkpoint

    scratch = lab.scratch
    sd1 = block_map("sd1")

    def plan(data: bytes) -> None:
        run = scratch / "run"
        run.mkdir(exist_ok=True)
        (run / "plan.json").write_bytes(data)
        found = RunFolder.open(scratch, "run").read_plan()
        RunFolder(run).write_plan(found)
        if RunFolder(run).read_plan() != found:
            raise AssertionError("a plan that is written does not read back")

    def payload(data: bytes) -> None:
        refused = []
        for ending in ("json", "yaml", "toml"):  # what is none of them is put to all
            try:
                load_payload(_file(scratch / f"payload.{ending}", data))
            except OptimError as error:
                refused.append(error)
        if refused:  # the worst sentence, if one is bad
            raise max(refused, key=lambda error: len(sentence_problem(str(error))))

    def header(data: bytes) -> None:
        found = read_header(_file(scratch / "model.safetensors", data))
        architecture_of(found)
        adapter_of(found)

    def lora(data: bytes) -> None:
        found = LoraFile(_file(scratch / "lora.safetensors", data))
        try:
            _use_lora(found)
        finally:
            found.close()

    def picture(data: bytes) -> None:
        from lib_optim.run.weight_files import weights_of_image

        _answered(lambda: infotext_of(opened_picture("x.png", data)))
        weights_of_image(data, sd1)

    def weights(data: bytes) -> None:
        read_state_dict(_file(scratch / f"weights{'.pt' if data[:2] == b'PK' else '.safetensors'}", data), "A judge")

    def taste(data: bytes) -> None:
        read_taste(_file(scratch / "taste.safetensors", data))

    def archive(data: bytes) -> None:
        import shutil

        outputs = scratch / "outputs"
        shutil.rmtree(outputs, ignore_errors=True)
        try:
            import_run(_file(scratch / "run.zip", data), outputs)
        except Exception:
            left = list(outputs.iterdir()) if outputs.is_dir() else []
            if left:
                raise AssertionError(f"a refused archive leaves {left}") from None
            raise

    def record(data: bytes) -> None:
        path = scratch / "db" / "run.db"
        path.parent.mkdir(exist_ok=True)
        for name in ("run.db", "run.db-wal", "run.db-shm"):
            (path.parent / name).unlink(missing_ok=True)
        store = Store(_file(path, data))
        try:
            for read in (store.passes, store.trials, store.images, store.scores, store.verdicts, store.comparisons):
                _answered(read)
        finally:
            store.close()

    text = lab.run.plan.read_bytes()
    database = _database(lab)
    return (
        Target("plan file", 3, (text,), spoilt_json_bytes, plan, _json_bytes(lab.plan)),
        Target("payload file", 4, _payload_files(lab), spoilt_json_bytes, payload, _json_bytes({"prompt": "x"})),
        Target("checkpoint header", 1.2, (short_checkpoint(lab.rig.models / "demo-a.safetensors"), a_lora()),
               spoilt_safetensors, header, st.binary(max_size=100)),
        Target("LoRA file", 3, (a_lora(),), spoilt_safetensors, lora),
        Target("picture", 3, (a_picture("PNG"), a_picture("JPEG"), a_picture("WEBP")), spoilt_bytes, picture),
        Target("weights of a judge", 3, (a_lora(), a_pickle()), spoilt_safetensors, weights),
        Target("taste file", 3, (a_taste(scratch),), spoilt_safetensors, taste),
        Target("zip archive", 1, (lab.archive,), spoilt_zip, archive),
        Target("database", 1, (database,), spoilt_database, record),
    )  # fmt: skip


def _requests(lab: Lab) -> Sequence[Target]:
    rows = api_rows(lab)
    form = form_of(lab)
    return (
        Target("form", 1.5, (("/optim/api/check", {"form": form}), ("/optim/api/guide", {"form": form})),
               lambda row, rng: (row[0], {"form": spoilt_json(row[1]["form"], rng)}), lambda row: ask(lab, *row)),
        Target("plan over the API", 1.2, [(f"/optim/api/{path}", {"plan": lab.plan}) for path in ("check", "start")],
               lambda row, rng: (row[0], {"plan": spoilt_json(row[1]["plan"], rng)}), lambda row: ask(lab, *row)),
        Target("JSON API", 2, rows, lambda row, rng: (row[0], spoilt_json(row[1], rng)), lambda row: ask(lab, *row),
               st.tuples(st.sampled_from([path for path, _ in rows]), _ANY_JSON)),
        Target("raw request", 1, [(path, json.dumps(body).encode()) for path, body in rows],
               lambda row, rng: (row[0], spoilt_bytes(row[1], rng)), lambda row: ask(lab, *row)),
        Target("addresses", 2, _addresses(lab), spoilt_text, lambda text: ask(lab, text, None),
               _ANY_TEXT.map(lambda text: f"/optim/image/{text}/x.png")),
    )  # fmt: skip


_LINES = (
    "A + B = O", "sd15 + anime = first\nfirst + photo = second # comment\n\nsecond + a b = third",
    "a + b + c = d @ add_difference",
)  # fmt: skip


def _in_order(text: str) -> None:
    from lib_optim.plan.merge_lines import in_order, read_lines

    in_order(read_lines(text))


def _answered(read: Callable[[], Any]) -> None:
    """Call what may refuse, to go on to the next reader of the same input: its sentence is looked at all the same."""
    from lib_optim.plan.errors import OptimError
    from tests.fuzz.harness import sentence_problem

    try:
        read()
    except PlanError as error:
        trouble = [sentence_problem(problem.sentence) for problem in error.problems]
        if any(trouble):
            raise
    except OptimError as error:
        if sentence_problem(str(error)):
            raise


def _file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _method(name: str) -> Any:
    from lib_optim.merging.methods import merge_method

    return merge_method(name)


def _use_lora(file: Any) -> None:
    import torch

    for key in _LORA_KEYS:
        file.delta(key, (32, 32), lambda: torch.zeros(32, 32))


_LORA_KEYS = ("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight",)


def _json_bytes(valid: Any) -> st.SearchStrategy[bytes]:
    """Hypothesis' JSON in the place of one of the fields."""
    names = st.sampled_from(sorted(valid)) | _ANY_TEXT
    return st.builds(lambda name, value: _dumped({**valid, name: value}), names, _ANY_JSON) | _ANY_JSON.map(_dumped)


def _dumped(data: Any) -> bytes:
    return json.dumps(data).encode()


def _database(lab: Lab) -> bytes:
    """Return the database in one file, without its journal."""
    with zipfile.ZipFile(io.BytesIO(lab.archive)) as packed:
        return packed.read(f"{lab.run.name}/run.db")


def _payload_files(lab: Lab) -> Sequence[bytes]:
    folder = Path(__file__).parents[2] / "payloads"
    return [path.read_bytes() for path in sorted(folder.glob("*.json"))[:4]] + [
        json.dumps(lab.plan["payloads"]).encode()
    ]


def _addresses(lab: Lab) -> Sequence[str]:
    run = lab.run.name
    image = next(lab.run.images.iterdir()).name
    return (
        f"/optim/image/{run}/{image}", f"/optim/api/run_report/{run}", f"/optim/api/run_export/{run}?images=0",
        f"/optim/api/importance?folder={run}", f"/optim/api/taste?folder={run}&runs=1",
        f"/optim/api/ratings?folder={run}&format=csv", "/optim/api/snapshot?since=0&trials=1,2",
    )  # fmt: skip
