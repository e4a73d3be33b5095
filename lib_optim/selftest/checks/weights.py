"""Statements 1 to 7: what is written is what shows, and the original bits come back."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lib_optim.hosts.probe import Unavailable
from lib_optim.plan.errors import HostError, Interrupted, MergeError
from lib_optim.selftest.bench import Bench, Failed, Skipped
from lib_optim.selftest.files import FLOATING

if TYPE_CHECKING:
    import torch

    from lib_optim.selftest.pixels import Picture

__all__ = [
    "bad_input_is_refused",
    "exception_mid_generation",
    "exception_mid_write",
    "halfway_and_back",
    "keys_map_one_to_one",
    "opening_changes_nothing",
    "same_as_a_merged_file",
    "same_as_a_merged_file_with_lora",
    "same_as_loading",
]


def opening_changes_nothing(bench: Bench) -> None:
    """1: open and close the live weights, write nothing."""
    before = bench.weights()
    with bench.session() as session:
        with bench.exclusive(), session.live_weights():
            pass
        bench.unchanged(bench.weights(), before, "After opening and closing")
        bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "After opening and closing")


def halfway_and_back(bench: Bench) -> None:
    """2: alpha .5 shows, alpha 0 is the base, alpha .5 again is the first .5."""
    with bench.session() as session:
        (half,) = bench.trial(session, 0.5, [bench.plain])
        (zero,) = bench.trial(session, 0.0, [bench.plain])
        (again,) = bench.trial(session, 0.5, [bench.plain])
    bench.differ(half, bench.before["plain"], "alpha 0.5 against the base")
    bench.same(zero, bench.before["plain"], "alpha 0 against the base")
    bench.same(again, half, "alpha 0.5 after alpha 0 against the first")
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "after the trials against the base")


def same_as_loading(bench: Bench) -> None:
    """3: all keys at alpha 1, a short and a long prompt."""
    bench.variant()
    bench.differ(bench.disk["plain"], bench.before["plain"], "the variant loaded from disk against the base")
    with bench.session() as session, bench.exclusive(), session.live_weights() as live:
        bench.write(live, 1.0)
        plain, long = bench.image(bench.plain), bench.image(bench.long)
        weights = bench.live_digests()
    bench.same(plain, bench.disk["plain"], "alpha 1 against the variant loaded from disk")
    bench.same(long, bench.disk["long"], "alpha 1 against the variant loaded from disk, prompt of several chunks")
    bench.unchanged(weights, bench.disk_weights, "alpha 1 against the variant loaded from disk")


def _merged(bench: Bench) -> dict[str, Picture]:
    def make() -> dict[str, Picture]:
        merged = bench.checkpoint("merged", 0.5)
        try:
            return bench.from_disk(merged)[0]
        finally:
            bench.remove(merged)

    return bench.keep("merged", make)


def same_as_a_merged_file(bench: Bench) -> None:
    """4, without a LoRA."""
    merged = _merged(bench)
    with bench.session() as session:
        plain, long = bench.trial(session, 0.5, [bench.plain, bench.long])
    bench.same(plain, merged["plain"], "alpha 0.5 against the merged file")
    bench.same(long, merged["long"], "alpha 0.5 against the merged file, prompt of several chunks")


def same_as_a_merged_file_with_lora(bench: Bench) -> None:
    """4, with a LoRA."""
    job, merged = bench.lora_job(), _merged(bench)
    bench.differ(merged["lora"], merged["plain"], "the merged file with and without the LoRA")
    with bench.session() as session:
        bench.fresh_image(job)  # the very LoRA is in the model when the trial begins
        (image,) = bench.trial(session, 0.5, [job])
    bench.same(image, merged["lora"], "alpha 0.5 with the LoRA against the merged file with it")


def keys_map_one_to_one(bench: Bench) -> str:
    """5: every key is mapped or listed; a value of its own, written to each, reads back and leaves no tensor out."""
    import torch

    wanted = {key for key in bench.header.tensors if bench.architecture.component_of(key) in bench.components}
    bench.variant()
    before = _filled_from_file(bench)
    with bench.session() as session:
        mapped, listed = set(session.keys()), set(session.unmapped())
        _none(wanted - mapped - listed, "keys are neither mapped nor listed")
        _none(mapped & listed, "keys are both mapped and listed")
        _none(mapped - wanted, "mapped keys are not in the file")
        with bench.exclusive(), session.live_weights() as live:
            keys = list(live.keys())
            for number, key in enumerate(keys):
                live.write(key, torch.full(live.shape_of(key), _tag_value(number, live.dtype_of(key))))
            after = bench.live_digests()
            shared = {key for number, key in enumerate(keys) if not _holds(live.read(key), number)}
    _none(shared, "keys share a tensor with another")
    _none({name for name, digest in before.items() if after.get(name) == digest}, "live tensors have no key")
    return f"{len(mapped)} keys mapped, {len(listed)} listed as without a live tensor"


def _filled_from_file(bench: Bench) -> dict[str, int]:
    """Digests of the live tensors that loading the variant changed: those that the host takes from the file."""
    with bench.exclusive():
        now = bench.live_digests()
    return {name: digest for name, digest in now.items() if bench.disk_weights.get(name) != digest}


def _none(names: set[str], what: str) -> None:
    if names:
        raise Failed(f"{len(names)} {what}, one is {min(names)}")


def _holds(seen: torch.Tensor, number: int) -> bool:
    return bool((seen.double() == _tag_value(number, seen.dtype)).all())


def _tag_value(number: int, dtype: torch.dtype) -> float:
    """A value for each number, all exact in `dtype`; neighbours of 1 upwards, so that no model overflows on them."""
    import torch

    bits = {2: (torch.int16, 0x3C00 if dtype == torch.float16 else 0x3F00), 4: (torch.int32, 0x3F800000)}
    if torch.finfo(dtype).bits == 8:
        raise Skipped("8-bit storage has too few values to tell the keys apart")
    kind, start = bits[torch.finfo(dtype).bits // 8]
    return float(torch.tensor([start + number + 1], dtype=kind).view(dtype)[0])


def bad_input_is_refused(bench: Bench) -> None:
    """6: a wrong shape, an unknown key, NaN, infinity, and a value that only the cast makes infinite."""
    import torch

    with bench.session() as session, bench.exclusive(), session.live_weights() as live:
        floating = list(filter(lambda key: bench.header.tensors[key].dtype in FLOATING, live.keys()))
        key = max(floating, key=lambda k: len(live.shape_of(k)))
        good = live.read(key).float().cpu()
        nan, infinite, huge = (good.clone().reshape(-1) for _ in range(3))
        nan[-1], infinite[0], huge[-1] = float("nan"), float("inf"), torch.finfo(live.dtype_of(key)).max
        bad = [
            ("a wrong shape", key, torch.zeros((3, *good.shape))),
            ("an unknown key", "model.diffusion_model.no_such_block.weight", good),
            ("a tensor with one NaN", key, nan.reshape(good.shape) + 1),
            ("a tensor with one infinite value", key, infinite.reshape(good.shape) + 1),
            ("values beyond the storage dtype", key, huge.double().reshape(good.shape) * 2 + 1),
        ]
        before = live.read(key).clone()
        for what, name, tensor in bad:
            try:
                live.write(name, tensor)
            except MergeError:
                pass
            else:
                raise Failed(f"{what} was accepted")
            bench.expect(torch.equal(live.read(key), before), f"{what} was refused, but changed the weights")
        bench.same(bench.image(bench.plain), bench.before["plain"], "after refused writes against the base")


class _Deliberate(Exception):
    pass


def exception_mid_write(bench: Bench) -> None:
    """7: an exception after half of the keys."""
    before = bench.weights()
    with bench.session() as session:
        with suppress(_Deliberate), bench.exclusive(), session.live_weights() as live:
            keys = list(live.keys())
            bench.write(live, 1.0, keys[: len(keys) // 2])
            raise _Deliberate
        _is_back(bench, before, "after an exception mid-write")


def exception_mid_generation(bench: Bench) -> None:
    """7: the host's own pipeline raises; where it cannot be made to, the image is interrupted."""
    before = bench.weights()
    with bench.session() as session:
        with suppress(HostError), bench.exclusive(), session.live_weights() as live:
            bench.write(live, 1.0)
            _fail_to_generate(bench)
        _is_back(bench, before, "after an exception mid-generation")


def _fail_to_generate(bench: Bench) -> None:
    try:
        with bench.probe.failing_generation("a deliberate failure of the self-test"):
            bench.image(bench.plain)
    except Unavailable:
        bench.interrupted_image()
        raise Interrupted("as wanted") from None
    raise Failed("the failure of the host's pipeline did not reach Optim")


def _is_back(bench: Bench, before: dict[str, int], when: str) -> None:
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], f"{when} against the base")
    bench.unchanged(bench.weights(), before, when)
