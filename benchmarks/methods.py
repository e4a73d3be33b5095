"""How long do the merge methods of sd-mecha take in Optim, measured against their own tensor operations?

For every method that works tensor by tensor on whole models: the method's own function, called on resident models in
fp32, its result rounded into fp16 tensors (what the mathematics cost at least); and Optim's merge with other values
in every round. In turns, on some blocks of full-size Stable Diffusion 1.5 checkpoints of random weights.

    OMP_NUM_THREADS=1 python -m benchmarks.methods --out docs/benchmarks/methods-sd1.json

Both work in one thread. `rotate` is left out: it takes whole models, not tensors, and minutes per block.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from benchmarks.swap import Bench, Undigested, machine, note, timed
from lib_optim.merging.mecha import merge_registry
from lib_optim.merging.merger import Merger
from lib_optim.merging.methods import MethodRow, method_row, method_rows
from lib_optim.merging.shapes import SHAPES
from lib_optim.plan.blocks import block_map
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.space import space_of

__all__ = ["main"]

LEFT_OUT = ("rotate", "optim_smooth_add")
"""The first takes whole models, not tensors; the second minutes per block."""


def plain_rows() -> list[MethodRow]:
    """Return the rows that hand two or three whole models to one function."""
    kinds = [SHAPES[name].build for name in ("two", "three", "two or from C")]
    left_out = ("weighted_sum", *LEFT_OUT)
    return [row for row in method_rows() if row.shape.build in kinds and row.method.id not in left_out]


class Bare:
    """A method's own function on resident models, its results rounded into fp16 tensors."""

    def __init__(self, row: MethodRow, models: Sequence[dict[str, torch.Tensor]]) -> None:
        method = merge_registry()[row.source]
        self._function: Callable[..., torch.Tensor] = (
            method.instantiate() if method.wrapped_is_class else method.__wrapped__
        )
        self._models = models
        self._target: dict[str, torch.Tensor] = {}  # not the live model: what is written there belongs to a merge
        self._wants_key = method.has_varkwargs
        self._settled = {**row.settled, **dict.fromkeys(row.seeds, 0)}

    def run(self, keys: Sequence[str], values: dict[str, Any]) -> None:
        """Merge `keys`; the first call makes room for the results."""
        for key in keys:
            if key not in self._target:
                self._target[key] = self._models[0][key].clone()
        with torch.no_grad():
            for key in keys:
                extra = {"key": key} if self._wants_key else {}
                tensors = [model[key].float() for model in self._models]
                self._target[key].copy_(self._function(*tensors, **values, **self._settled, **extra))


def values_of(row: MethodRow, number: int) -> dict[str, Any]:
    """Return values for one round: what is searched moves a little, the rest has its default."""
    searched = [p for p in row.method.parameters if p.searched and p.kind == "float"]
    moved = {p.name: p.bound.low + (0.3 + 0.01 * number) * (p.bound.high - p.bound.low) for p in searched}
    return {p.name: moved.get(p.name, p.default) for p in row.method.parameters}


def open_merger(bench: Bench, row: MethodRow, blocks: Sequence[str]) -> Merger:
    chosen = row.method
    names = tuple(p.name for p in chosen.parameters if p.searched and p.kind == "float")
    guide = Guide((ComponentGuide("unet", (Strategy("select", tuple(blocks), parameters=names),)),))
    known = block_map(bench.row.block_map or "")
    models = bench.paths[: chosen.min_models]
    return Merger(chosen, models, bench.row, known, space_of(guide, chosen, known), 0, precision="fp16", memory=0)


def measure(
    bench: Bench, models: Sequence[dict[str, torch.Tensor]], row: MethodRow, blocks: Sequence[str], rounds: int
) -> dict[str, Any]:
    """Return the times of one method: bare and ours, in turns after one round of warming up."""
    merger = open_merger(bench, row, blocks)
    bare = Bare(row, models[: row.method.min_models])
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    written = merger.keys
    for number in range(rounds + 1):
        plain = values_of(row, number)
        ours = {p.name: plain[p.name.split("_", 1)[1]] for p in merger.space.parameters}
        with bench.session.live_weights() as weights:
            sink = Undigested(weights)
            took = timed(lambda sink=sink, ours=ours: merger.write(ours, sink))
        if number:
            seconds["ours"].append(took)
            seconds["bare"].append(timed(lambda plain=plain, written=written: bare.run(written, plain)))
        else:
            bare.run(written, plain)
    merger.close()
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    size = sum(bench.a[key].nbytes for key in written)
    return {"seconds": seconds, "median": medians, "bytes": size, "ratio": medians["ours"] / medians["bare"]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=[row.method.id for row in plain_rows()], default=None)
    parser.add_argument("--blocks", nargs="+", default=["IN01", "IN04"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    rows = [method_row(name) for name in options.methods] if options.methods else plain_rows()
    started, cases = time.time(), {}
    with tempfile.TemporaryDirectory(prefix="optim-methods-") as folder:
        bench = Bench("sd1", ["unet"], Path(folder), "cpu", max(row.method.min_models for row in rows), mapped=False)
        models = [bench.a, bench.b, *(load_file(str(path)) for path in bench.paths[2:])]
        for row in rows:
            cases[row.method.id] = case = measure(bench, models, row, options.blocks, options.rounds)
            note(f"{row.method.id:36s} ours {case['median']['ours']:7.3f} s, {case['ratio']:5.2f} x bare")
        bench.session.close()
    report = {
        "architecture": "sd1", "blocks": options.blocks, "rounds": options.rounds, "machine": machine("cpu"),
        "date": time.strftime("%Y-%m-%d"), "duration": time.time() - started, "cases": cases,
    }  # fmt: skip
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
