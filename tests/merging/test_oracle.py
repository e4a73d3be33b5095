"""Two hundred random plans: what the merger writes is what sd-mecha makes of the recipe, bit for bit.

The oracle is `sd_mecha.merge` on the text of the recipe that is shown, shared and saved, with nothing of ours in
between. Compared is what stands in the sink after its cast to the live dtype, which is what a host generates with.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lib_optim.hosts.digest import tensor_digest
from lib_optim.merging.fallback import quiet_progress
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.merger import Merger
from lib_optim.merging.methods import merge_methods
from lib_optim.merging.save import save_checkpoint
from lib_optim.merging.sinks import PlacedSink
from lib_optim.plan.blocks import BlockMap, block_map
from lib_optim.plan.bounds import Bound
from lib_optim.plan.guide import ComponentGuide, Group, Guide, Strategy
from lib_optim.plan.methods import MergeMethod
from lib_optim.plan.refine import refined_for
from lib_optim.plan.run_plan import SaveSpec
from lib_optim.plan.space import space_of
from tests.checkpoints import checkpoint_shapes, make_checkpoint
from tests.merging.conftest import architecture, random_values

PLANS = 200
PARTS = 10  # tests, so that a failure names its seeds soon
SAVED = 8  # every which plan is saved too
WHOLE = 100  # every which plan merges every tensor of a whole checkpoint, with a cheap method
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}

# Narrower than what is offered, so that the tests end: a fractional alignment takes matrix logarithms of every layer.
BOUNDS = {
    "alignment": Bound("choice", choices=(0.0, 1.0)),
    "maxiter": Bound("int", 1, 3),
    "stiefel_max_iters": Bound("int", 1, 3),
    "rank": Bound("int", 1, 4),
}
COUNTS = (1, 2, 3, 4)
CHEAP = ("weighted_sum", "add_difference", "sum_twice", "slerp", "n_average")

# Of each component a part that holds every kind of layer.
KEPT = {
    "sd1": re.compile(
        r"model\.diffusion_model\.(time_embed|out\.|input_blocks\.[03]\.|middle_block\.1\.p)"
        r"|.*\.input_blocks\.1\.1\.(norm|proj_in|.*(attn1\.to_[qv]|attn2\.to_k|ff\.net\.0|norm1))"
        r"|.*\.output_blocks\.(2\.1\.|11\.0\.[es])|cond_stage_model.*(embed|layers\.0\.(mlp\.fc1|layer_norm1)|final)"
        r"|first_stage_model\.quant|[^.]*$"
    ),
    "sdxl": re.compile(
        r"model\.diffusion_model\.(time_embed|label_emb|out\.|input_blocks\.[03]\.|middle_block\.1\.p|.*blocks\.8\.0\.e)"
        r"|.*\.output_blocks\.2\.1\.(norm|proj_in|transformer_blocks\.0.*(attn1\.to_[qv]|attn2\.to_k|ff\.net\.0|norm1))"
        r"|conditioner\.embedders\.0.*(embed|layers\.0\.(mlp\.fc1|layer_norm1))|first_stage_model\.quant"
        r"|conditioner\.embedders\.1.*(embed|blocks\.0\.(attn|ln_1)|ln_final|text_proj|logit)"
    ),
}


@dataclass(frozen=True)
class Case:
    """One plan. `dtypes`: of the models' files; `live`: of the host's memory."""

    seed: int
    layout: str
    method: MergeMethod
    dtypes: tuple[str, ...]
    live: str
    guide: Guide
    whole: bool


class LiveDict:
    """A host's memory: tensors of the live dtype, which a write rounds into."""

    def __init__(self, keys: Sequence[str], dtype: torch.dtype) -> None:
        self._keys, self._dtype = tuple(keys), dtype
        self.tensors: dict[str, torch.Tensor] = {}
        self.places: dict[str, torch.Tensor] = {}

    def keys(self) -> tuple[str, ...]:
        return self._keys

    def held(self) -> dict[str, torch.Tensor]:
        return {**self.places, **self.tensors}

    def write(self, key: str, tensor: torch.Tensor) -> None:
        assert key in self._keys
        assert key not in self.tensors, f"{key} was written twice"
        self.tensors[key] = torch.empty(tensor.shape, dtype=self._dtype).copy_(tensor)

    def digests(self) -> dict[str, int]:
        return {key: tensor_digest(tensor) for key, tensor in self.held().items()}


class PlacedDict(LiveDict):
    """A host's memory that may be written in place, as hosts on the CPU offer it."""

    def __init__(self, merger: Merger, dtype: torch.dtype) -> None:
        super().__init__(merger.keys, dtype)
        self._shapes = {key: merger.base_header.tensors[key].shape for key in merger.keys}

    def place(self, key: str) -> torch.Tensor:
        # A place that is offered and then written after all is no second write.
        return self.places.setdefault(key, torch.full(self._shapes[key], math.nan, dtype=self._dtype))

    def guard(self) -> AbstractContextManager[object]:
        return nullcontext()

    def is_original(self, key: str) -> bool:
        return False


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, bool, str, int], Path]:
    """(layout, whole, dtype, number) to a model, made when first asked for."""
    folder = tmp_path_factory.mktemp("oracle")

    class Files(dict[tuple[str, bool, str, int], Path]):
        def __missing__(self, wanted: tuple[str, bool, str, int]) -> Path:
            layout, whole, dtype, number = wanted
            path = folder / f"{layout}-{'whole' if whole else 'part'}-{dtype}-{number}.safetensors"
            lost = () if whole else [key for key in checkpoint_shapes(layout) if not KEPT[layout].match(key)]
            self[wanted] = make_checkpoint(path, layout, number, DTYPES[dtype], 2, without=lost)  # type: ignore[arg-type]
            return self[wanted]

    return Files()


def cases(part: int) -> Iterator[Case]:
    """The plans of one part: every method in turn, everything else drawn."""
    methods = merge_methods()
    for seed in range(part, PLANS, PARTS):
        rng = random.Random(seed)
        whole = seed % WHOLE == 0
        pool = [method for method in methods if not whole or method.id in CHEAP]
        method = pool[(seed // WHOLE if whole else seed) % len(pool)]
        count = rng.choice([count for count in COUNTS if method.takes(count)])
        layout = rng.choice(("sd1", "sdxl"))
        dtypes = tuple(rng.choice(tuple(DTYPES)) for _ in range(count))
        yield Case(seed, layout, method, dtypes, rng.choice(tuple(DTYPES)), _guide(rng, method, layout), whole)


def _guide(rng: random.Random, method: MergeMethod, layout: str) -> Guide:
    """Strategies of every type, over blocks and over tensors, for some or all parameters of the method."""
    names = [p.name for p in method.parameters if not p.blocks and (not p.bound.log or p.name == "rank")]
    if not names:  # a layer adjustment: it is searched by itself
        return Guide(())
    searched = [p.name for p in method.parameters if p.searched and not p.blocks]
    parameters = tuple(rng.choice((searched, names, rng.sample(names, rng.randint(1, len(names))))))
    components = ["unet"]
    components += [name for name in ("text_encoder", "vae") if rng.random() < 0.4]
    guides = []
    for component in components:
        strategies: list[Strategy] = []
        if component == "unet" and rng.random() < 0.5:
            strategies.append(rng.choice((
                Strategy("select", ("IN00", "OUT*"), parameters=parameters),
                Strategy("group", groups=(Group("a", ("IN*",)), Group("b", ("M00",))), parameters=parameters),
                Strategy("select", ("*.attn1.to_q.*",), parameters=parameters),
                Strategy("group", groups=(Group("t", ("*.attn2.*", "TIME/*.bias")),), parameters=parameters),
                Strategy("none", ("IN03",)),
                Strategy("none", ("*.norm?.*",)),
            )))  # fmt: skip
        strategies.append(Strategy(rng.choice(("all", "single")), parameters=parameters))
        guides.append(ComponentGuide(component, tuple(strategies)))
    bounds = {name: bound for name, bound in BOUNDS.items() if method.parameter(name) is not None}
    bounds = {name: bound for name, bound in bounds.items() if name in parameters}
    if method.parameter("alpha") is not None and "alpha" in parameters and rng.random() < 0.3:
        bounds["alpha"] = Bound("choice", choices=(0.0, 0.5, 1.0))  # the ends, which methods treat apart
    return Guide(tuple(guides), bounds)


def _space_map(case: Case, path: Path) -> tuple[BlockMap, Any]:
    with_keys = refined_for(case.guide, block_map(case.layout), _floating(path))
    return with_keys, space_of(case.guide, case.method, with_keys)


def _floating(path: Path) -> tuple[str, ...]:
    from lib_optim.plan.header import read_header

    return read_header(path).floating


def by_sd_mecha(text: str, folder: Path) -> dict[str, torch.Tensor]:
    """The merged tensors in fp32, from the recipe's text alone; without what comes from the base unmerged."""
    mecha = sd_mecha()
    mecha.model_dirs.add_path(folder)
    recipe = mecha.deserialize(text)
    assert recipe.merge_method.identifier == "fallback"
    result: dict[str, torch.Tensor] = mecha.merge(
        recipe.bound_args.args[0], merge_dtype=torch.float32, output_dtype=torch.float32, threads=0,
        total_buffer_size=1 << 20, tqdm=quiet_progress(), output=None,
        # Looking for mistakes takes most of its time, and no result depends on it.
        check_extra_keys=False, check_finite_output=False, omit_non_finite_inputs=False, memoize_intermediates=False,
        validate_mm_contract=False,
    )  # fmt: skip
    result.pop("__metadata__", None)
    return result


@pytest.mark.parametrize("part", range(PARTS))
def test_the_sink_holds_what_sd_mecha_merges(
    part: int, files: Mapping[tuple[str, bool, str, int], Path], tmp_path: Path
) -> None:
    changed = itertools.count()
    for case in cases(part):
        models = [files[case.layout, case.whole, dtype, number] for number, dtype in enumerate(case.dtypes)]
        blocks, space = _space_map(case, models[0])
        merger = Merger(case.method, models, architecture(case.layout), blocks, space, case.seed)
        try:
            assert not merger.slow, (case, merger.slow)
            for step in range(2):  # the second finds warm buffers, and folded parts that must not have changed
                values = random_values(space, case.seed + step)
                dtype = DTYPES[case.live]
                live = PlacedDict(merger, dtype) if case.seed % 3 else LiveDict(merger.keys, dtype)
                assert isinstance(live, PlacedSink) == bool(case.seed % 3), "the merger would not write in place"
                report = merger.write(values, live)
            expected = by_sd_mecha(merger.recipe(values).text, models[0].parent)
            held = live.held()
            assert sorted(report.written) == sorted(merger.keys), case
            assert held.keys() == set(merger.keys), case
            _check_rest(case, merger, expected)
            for key, tensor in held.items():
                wanted = expected[key].reshape(tensor.shape).to(tensor.dtype)
                assert torch.equal(tensor, wanted), f"{key} of {case} with {values}"
            if any(not torch.equal(t, merger.base_tensor(key).to(t.dtype)) for key, t in held.items()):
                next(changed)
            if case.seed % SAVED == 0:
                _check_saved(case, merger, values, held, tmp_path / "saved.safetensors")
        finally:
            merger.close()
    assert next(changed) > 0.8 * PLANS / PARTS, "too many plans changed nothing, so that equality shows little"


def _check_rest(case: Case, merger: Merger, expected: Mapping[str, torch.Tensor]) -> None:
    """Every merged key is there; beside them only an adjustment passes on others, as they are in the base."""
    rest = expected.keys() - set(merger.keys)
    assert set(merger.keys) <= expected.keys(), case
    assert not rest or case.guide == Guide(()), case
    for key in rest:
        assert torch.equal(expected[key], merger.base_tensor(key).float()), f"{key} of {case}"


def _check_saved(
    case: Case, merger: Merger, values: Mapping[str, Any], held: Mapping[str, torch.Tensor], path: Path
) -> None:
    save_checkpoint(merger, values, path, SaveSpec(case.live), {})  # type: ignore[arg-type]
    saved = load_file(path)
    assert saved.keys() == merger.base_header.tensors.keys()
    for key, tensor in saved.items():
        if key in held:
            assert tensor.dtype == DTYPES[case.live]
            assert torch.equal(tensor, held[key]), f"{key} of {case}"
        else:
            assert torch.equal(tensor, merger.base_tensor(key).to(tensor.dtype)), f"{key} of {case}"


def test_the_plans_are_of_every_kind() -> None:
    """What is drawn must reach what the oracle is for."""
    everything = [case for part in range(PARTS) for case in cases(part)]
    assert len(everything) == PLANS
    assert {case.method.id for case in everything} == {method.id for method in merge_methods()}
    assert {case.layout for case in everything} == {"sd1", "sdxl"}
    assert {case.live for case in everything} == set(DTYPES)
    assert {len(case.dtypes) for case in everything} == set(COUNTS)
    assert any(len(set(case.dtypes)) == 1 for case in everything if len(case.dtypes) > 1)
    components = {guide.component for case in everything for guide in case.guide.components}
    assert components == {"unet", "text_encoder", "vae"}
    kinds = {s.type for case in everything for guide in case.guide.components for s in guide.strategies}
    assert kinds == {"all", "select", "group", "single", "none"}
