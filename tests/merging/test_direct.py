"""The fast way: the same bits as sd-mecha, straight into the memory that they are meant for."""

from __future__ import annotations

import contextlib
import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_optim.hosts.digest import tensor_digest
from lib_optim.merging.bits import same_bits
from lib_optim.merging.chunks import Scratch, assemble, bound_of, lerp_is_exact
from lib_optim.merging.constants import Constants
from lib_optim.merging.expression import Linear, ModelLeaf
from lib_optim.merging.merger import Merger
from lib_optim.merging.methods import merge_method, merge_methods
from lib_optim.merging.threads import in_threads
from lib_optim.plan.blocks import block_map
from lib_optim.plan.errors import Interrupted, MergeError
from lib_optim.plan.space import space_of
from tests.merging.conftest import Sink, architecture, guide, open_merger, random_values

A, B, C = ModelLeaf(0), ModelLeaf(1), ModelLeaf(2)
SUM = Linear("lerp", A, B, "alpha")
DIFFERENCE = Linear("add", A, Linear("subtract", B, C), "alpha")
TWICE = Linear("lerp", Linear("lerp", A, B, "alpha"), C, "beta")
TRIPLE = Linear("add", Linear("add", A, Linear("subtract", B, A), "alpha"), Linear("subtract", C, A), "beta")


class Placed(Sink):
    """A sink with memory of its own, in the dtypes and layouts that live models have."""

    def __init__(self, merger: Merger, dtype: torch.dtype, refuse: Sequence[str] = ()) -> None:
        super().__init__(merger.keys)
        self.originals: set[str] = set()
        self.places = {key: torch.full_like(merger.base_tensor(key), math.nan, dtype=dtype) for key in merger.keys}
        self.refuse, self.guards = set(refuse), 0
        self.threads: set[int] = set()

    def write(self, key: str, tensor: torch.Tensor) -> None:
        self.places[key].copy_(tensor)

    def place(self, key: str) -> torch.Tensor | None:
        return None if key in self.refuse else self.places[key]

    def is_original(self, key: str) -> bool:
        return key in self.originals

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        self.guards += 1
        self.threads.add(threading.get_ident())
        with torch.no_grad():
            yield

    def digests(self) -> dict[str, int]:
        return {key: tensor_digest(tensor) for key, tensor in self.places.items()}


def reference(expression: Linear, values: Mapping[str, float], models: Sequence[torch.Tensor]) -> torch.Tensor:
    """The formula as sd-mecha computes it."""

    def of(node):  # type: ignore[no-untyped-def]
        if isinstance(node, ModelLeaf):
            return models[node.index].float()
        x, y = of(node.x), of(node.y)
        weight = torch.tensor(values[node.weight] if isinstance(node.weight, str) else node.weight)
        return {
            "lerp": lambda: torch.lerp(x, y, weight),
            "add": lambda: x.addcmul(y, weight),
            "subtract": lambda: x - y,
        }[node.kind]()

    return of(expression)


@pytest.mark.parametrize("expression", [SUM, DIFFERENCE, TWICE, TRIPLE], ids=["sum", "difference", "twice", "triple"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_bit_over_random_shapes_and_dtypes(expression: Linear, dtype: torch.dtype) -> None:
    rng = random.Random(f"{expression} {dtype}")
    torch.manual_seed(0)
    scratch = Scratch(torch.device("cpu"), chunk=1000)
    for _ in range(25):
        shape = rng.choice([(), (1,), (7,), (999,), (1000,), (1001,), (3, 5, 7), (50, 64), (2, 1, 4100)])
        kinds = [rng.choice([dtype, torch.float16, torch.bfloat16, torch.float32]) for _ in range(3)]
        models = [(torch.randn(shape) * rng.choice([1e-3, 1.0, 30.0])).to(kind) for kind in kinds]
        values = {"alpha": rng.uniform(-0.5, 1.5), "beta": rng.choice([0.0, 1.0, rng.random()])}
        wide = [model.dtype == torch.float32 for model in models]
        sizes = [float(model.abs().max()) for model in models]
        program = assemble(expression, values, lambda leaf, wide=wide: wide[leaf.index], lambda c: False)
        assert program is not None
        target = torch.full(shape, math.nan, dtype=dtype)
        rounded = rng.choice([None, torch.float16, torch.bfloat16])
        program.run([models[leaf.index] for leaf in program.leaves], target, scratch, rounded)
        expected = reference(expression, {**values}, models)
        assert torch.equal(target, (expected if rounded is None else expected.to(rounded)).to(dtype))
        bound = bound_of(expression, values, lambda leaf, sizes=sizes: sizes[leaf.index])
        assert float(expected.abs().max()) <= bound


def test_the_ends_take_sd_mecha_s_short_cuts() -> None:
    """a + 0·(b − a) would turn −0 into 0, and touch a model for nothing."""
    program = assemble(SUM, {"alpha": 0.0}, lambda leaf: True, lambda c: False)
    assert program is not None
    assert program.leaves == (A,)
    target = torch.zeros(2)
    program.run([torch.tensor([-0.0, 1.0])], target, Scratch(torch.device("cpu")))
    assert math.copysign(1, target[0].item()) == -1
    other = assemble(SUM, {"alpha": 1.0}, lambda leaf: True, lambda c: False)
    assert other is not None
    assert other.leaves == (B,)


def test_half_lerp_must_give_the_sign_of_zero_too(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.lerp
    monkeypatch.setattr(torch, "lerp", lambda a, b, w: real(a, b, w) + (0.0 if a.dtype == torch.float16 else -0.0))
    assert not lerp_is_exact(torch.float16, torch.device("cpu"))


def test_half_lerp_is_tried_before_it_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert lerp_is_exact(torch.float16, cpu)
    real = torch.lerp

    def coarse(a, b, weight, **kw):  # type: ignore[no-untyped-def]
        if a.dtype == torch.float16:
            return a + (b - a) * weight  # rounds three times
        return real(a, b, weight, **kw)

    monkeypatch.setattr(torch, "lerp", coarse)
    assert not lerp_is_exact(torch.float16, cpu)


SLOW = ("rotate", "multiply_quotient", "optim_similarity_add_difference")  # minutes, and no linear step in them


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("method", [m.id for m in merge_methods() if m.takes(3) and m.id not in SLOW])
def test_in_place_equals_the_stream(method: str, dtype: torch.dtype, checkpoints: Mapping[str, list[Path]]) -> None:
    """Whatever a method's way, what lands in the live memory is what saving writes, rounded once."""
    merger = open_merger(method, checkpoints["sd1"], plan=guide("unet"))
    sink = Placed(merger, dtype)
    for seed in range(2):
        values = random_values(merger.space, seed)
        report = merger.write(values, sink)
        assert set(report.written) == set(merger.keys)
        for key, tensor in merger.tensors(values):
            assert same_bits(sink.places[key], tensor.to(dtype)), key
    merger.close()


def test_the_fast_way_is_taken(checkpoints: Mapping[str, list[Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear methods never go through sd-mecha's functions; TIES goes once, for what the search does not touch."""
    plan = guide("unet", parameters=("alpha",))
    merger = open_merger("add_difference_ties", checkpoints["sd1"], plan=plan)
    sink = Placed(merger, torch.float16)
    merger.write(random_values(merger.space, 0), sink)
    assert merger.constants.bytes == 4 * sum(place.numel() for place in sink.places.values())
    assert len(sink.threads) >= 1
    assert sink.guards == len(merger.keys)
    monkeypatch.setattr(merger._engine, "_run", lambda *a: pytest.fail("the slow way"))
    monkeypatch.setattr(merger._engine._direct._methods, "load", lambda *a: pytest.fail("computed again"))  # type: ignore[union-attr]
    merger.write(random_values(merger.space, 1), sink)
    merger.close()


def test_without_room_for_constants_the_bits_are_the_same(checkpoints: Mapping[str, list[Path]]) -> None:
    method = merge_method("add_difference_ties")
    space = space_of(guide("unet", parameters=("alpha",)), method, block_map("sd1"))
    sinks = []
    for memory in (0, 1_000_000, None):
        merger = Merger(method, checkpoints["sd1"], architecture("sd1"), block_map("sd1"), space, 7, memory=memory)
        sink = Placed(merger, torch.float16)
        merger.write(random_values(space, 3), sink)
        assert memory is None or merger.constants.bytes <= memory
        sinks.append(sink.digests())
        merger.close()
    assert sinks[0] == sinks[1] == sinks[2]


def test_a_searched_number_inside_is_not_kept(checkpoints: Mapping[str, list[Path]]) -> None:
    plan = guide("unet", parameters=("alpha", "k"))
    merger = open_merger("add_difference_ties", checkpoints["sd1"], plan=plan)
    sink = Placed(merger, torch.float32)
    for seed in range(2):
        values = random_values(merger.space, seed)
        merger.write(values, sink)
        for key, tensor in merger.tensors(values):
            assert torch.equal(sink.places[key], tensor), key
    merger.close()


def test_a_result_too_large_is_named_and_nothing_of_it_is_written(checkpoints: Mapping[str, list[Path]]) -> None:
    """The bound cannot rule it out, so the tensor is computed aside and looked through."""
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2], plan=guide("unet"))
    key = merger.keys[0]
    for place in list(merger._names):
        merger._engine._largest[0, place] = 1e30  # as if A held such numbers
    sink = Placed(merger, torch.float16)
    values = random_values(merger.space, 0)
    merger.write(values, sink)  # it does not: all is well
    assert torch.isfinite(sink.places[key]).all()
    for name, tensor in merger.tensors(values):
        assert torch.equal(sink.places[name], tensor.half()), name
    merger.close()


def test_places_that_a_host_lacks_are_written_the_other_way(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2], plan=guide("unet"))
    values = random_values(merger.space, 0)
    usual, partly = Placed(merger, torch.float16), Placed(merger, torch.float16, refuse=merger.keys[::3])
    assert set(merger.write(values, usual).written) == set(merger.write(values, partly).written)
    assert usual.digests() == partly.digests()
    merger.close()


def test_cancelling_stops_all_threads(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2])
    sink, asked = Placed(merger, torch.float16), 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 20

    with pytest.raises(Interrupted):
        merger.write(random_values(merger.space, 0), sink, cancelled)
    untouched = [key for key, place in sink.places.items() if torch.isnan(place).all()]
    assert len(untouched) >= len(merger.keys) - 20
    merger.close()


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def fail() -> None:
        raise MergeError("on purpose")

    started: list[int] = []
    with pytest.raises(MergeError, match="on purpose"):
        in_threads(iter([fail, *([lambda: started.append(1)] * 1000)]), contextlib.nullcontext)
    assert len(started) < 1000


def test_the_work_is_prepared_in_the_caller_s_thread_and_done_in_several() -> None:
    """Hosts may care who asks for a place, and who holds the lock."""
    prepared, did = set(), set()

    def task() -> None:
        did.add(threading.get_ident())
        time.sleep(0.002)

    def work() -> Iterator[Callable[[], None]]:
        for _ in range(50):
            prepared.add(threading.get_ident())
            yield task

    in_threads(work(), contextlib.nullcontext)
    assert prepared == {threading.get_ident()}
    assert len(did) == min(2, os.cpu_count() or 1)


def test_constants_keep_to_their_budget_and_survive_a_failure() -> None:
    constants = Constants(400)
    assert constants.get(0, "a", 60, lambda: torch.ones(60)) is not None
    assert constants.get(0, "b", 60, lambda: pytest.fail("no room")) is None
    with pytest.raises(RuntimeError):
        constants.get(1, "c", 40, lambda: (_ for _ in ()).throw(RuntimeError("x")))
    assert constants.bytes == 240
    again = constants.get(0, "a", 60, lambda: pytest.fail("kept"))
    assert again is not None
    assert again.numel() == 60
    constants.drop()
    assert constants.bytes == 0


def test_only_what_changed_is_merged_again(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2], plan=guide("unet"))
    values = random_values(merger.space, 0)
    sink = Placed(merger, torch.float16)
    merger.write(values, sink)
    changed = {**values, "IN04_alpha": 0.123}
    report = merger.write(changed, sink)
    assert {merger.blocks.block_of(key) for key in report.written} == {"IN04"}
    assert set(report.written) | set(report.kept) == set(merger.keys)
    whole = Placed(merger, torch.float16)
    assert not merger.write(changed, whole).kept  # another sink holds nothing yet
    assert whole.digests() == sink.digests()
    assert not merger.write(changed, sink).kept  # and what the first holds is known no more
    merger.close()


def test_a_write_that_failed_half_way_is_not_trusted(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2], plan=guide("unet"))
    sink = Placed(merger, torch.float16)
    merger.write(random_values(merger.space, 0), sink)
    with pytest.raises(Interrupted):
        merger.write(random_values(merger.space, 1), sink, lambda: True)
    assert not merger.write(random_values(merger.space, 0), sink).kept
    merger.close()


def test_what_all_models_agree_about_is_left_alone(checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    tensors = load_file(str(checkpoints["sd1"][0]))
    other = {key: tensor + 1 if "input_blocks.4." in key else tensor for key, tensor in tensors.items()}
    save_file(other, str(tmp_path / "b.safetensors"))
    merger = open_merger("weighted_sum", [checkpoints["sd1"][0], tmp_path / "b.safetensors"], plan=guide("unet"))
    sink = Placed(merger, torch.float16)
    assert not merger.write(random_values(merger.space, 0), sink).kept  # nobody said that the sink holds the base
    full = sink.digests()
    again = Placed(merger, torch.float16)
    again.originals = set(merger.keys)
    for key, place in again.places.items():
        place.copy_(tensors[key])
    report = merger.write(random_values(merger.space, 0), again)
    assert report.written
    assert all("input_blocks.4." in key for key in report.written)
    assert again.digests() == full
    merger.close()


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7, 1.0])
def test_a_sign_of_zero_does_not_hang_on_what_was_left_alone(
    weight: float, checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    """A resume merges all, and a run that went on leaves alone what the models agree about: the bits are the same."""
    tensors = load_file(str(checkpoints["sd1"][0]))
    first, second, *_ = (key for key, tensor in tensors.items() if "input_blocks.4." in key and tensor.numel() > 8)
    tensors[first].view(-1)[:2] = tensors[second].view(-1)[0] = -0.0
    other = {key: tensor.clone() for key, tensor in tensors.items()}
    other[first].view(-1)[0] = 0.0  # the second zero of the first tensor, and the second tensor, are equal in all bits
    models = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path, content in zip(models, (tensors, other), strict=True):
        save_file(content, str(path))
    merger = open_merger("weighted_sum", models, plan=guide("unet"))
    values = dict.fromkeys(random_values(merger.space, 0), weight)
    resumed, going_on = Placed(merger, torch.float16), Placed(merger, torch.float16)
    going_on.originals = set(merger.keys)
    for key, place in going_on.places.items():
        place.copy_(tensors[key])
    merger.write(values, resumed)
    report = merger.write(values, going_on)
    assert len(report.kept) > 0.9 * len(merger.keys)
    assert going_on.digests() == resumed.digests()
    merger.close()


def test_a_model_on_another_device_gets_the_same_bits(checkpoints: Mapping[str, list[Path]]) -> None:
    """There is no second device here; the way that computes aside and then copies is taken all the same."""
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2], plan=guide("unet"))
    values = random_values(merger.space, 0)
    here, there = Placed(merger, torch.float16), Placed(merger, torch.float16)
    merger.write(values, here)
    merger._engine._device = torch.device("meta")
    assert len(merger.write(values, there).written) == len(merger.keys)
    assert here.digests() == there.digests()
    merger.close()
