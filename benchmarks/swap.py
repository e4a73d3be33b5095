"""How long does a merge take to reach the live weights, measured against moving the bytes at all?

Makes full-size checkpoints of random fp16 weights, and times, in turns so that the machine's moods hit all alike:

- the floor: a plain copy of one model into the live tensors, and from its bandwidth the time that a method's bytes need
  (every source read once, the target written once);
- `torch.lerp` of resident models into the live tensors, which is the least that a merge can be;
- Optim's own merge for several methods, with what is constant kept from the first trial on;
- one more block changed, the digests of what was written, and putting the model back;
- `sd_mecha.merge` to memory, and to a file that is then loaded, which is what other tools do.

    OMP_NUM_THREADS=1 python -m benchmarks.swap --architecture sd1 --out docs/benchmarks/swap-sd1.json
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lib_optim.hosts.accelerator import merge_device_of, spare_bytes
from lib_optim.hosts.live import TableSession
from lib_optim.hosts.transforms import identity_table
from lib_optim.merging.fallback import quiet_progress
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.merger import Merger
from lib_optim.merging.methods import merge_method
from lib_optim.plan.architectures import ARCHITECTURES
from lib_optim.plan.blocks import block_map
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.space import space_of

__all__ = ["main"]

_WARM = 60  # trials of a soak before it counts: small caches fill up first

METHODS = {"weighted_sum": 2, "add_difference": 3, "n_average": 3, "sum_twice": 3, "add_difference_ties": 3}
"""Method to the number of models; only alpha (and beta) are searched."""


class Live:
    """A loaded model: tensors by checkpoint key (implements `hosts.live.LiveModel`)."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.tensors = dict(tensors)

    def tensor(self, name: str) -> torch.Tensor:
        return self.tensors[name]

    def guard(self) -> AbstractContextManager[object]:
        return torch.no_grad()

    def check_same(self) -> None:
        pass

    def prepare(self) -> None:
        pass

    def wrote(self, component: str) -> None:
        pass


class Undigested:
    """Live weights whose digests are taken apart from the swap, to be timed by themselves."""

    def __init__(self, weights: Any) -> None:
        self._weights = weights

    def __getattr__(self, name: str) -> Any:
        return getattr(self._weights, name)

    def keys(self) -> Sequence[str]:
        return self._weights.keys()

    def write(self, key: str, tensor: torch.Tensor) -> None:
        self._weights.write(key, tensor)

    def place(self, key: str) -> torch.Tensor | None:
        return self._weights.place(key)

    def guard(self) -> AbstractContextManager[object]:
        return self._weights.guard()

    def digests(self) -> dict[str, int]:
        return {}


def make_model(path: Path, architecture: str, seed: int, components: Sequence[str]) -> None:
    """Write a full-size checkpoint of random fp16 weights."""
    row = next(row for row in ARCHITECTURES if row.id == architecture)
    config = sd_mecha().extensions.model_configs.resolve(row.mecha_config)
    noise = (torch.randn(1 << 24, generator=torch.Generator().manual_seed(seed)) * 0.05).half()
    tensors = {}
    for key, info in config.keys().items():
        if row.component_of(key) not in components or not info.dtype.is_floating_point:
            continue
        size, start = info.shape.numel(), len(tensors) * 7919 % (1 << 20)
        copies = size // (noise.numel() - start) + 1
        tensors[key] = noise[start:].repeat(copies)[:size].reshape(info.shape).clone()
    save_file(tensors, str(path))


def resident() -> int:
    """Return the memory that is resident now, without mapped files, in bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(fields["RssAnon"].split()[0]) * 1024


def written_bytes() -> int:
    """Return how many bytes this process has sent towards a disk."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def note(text: str) -> None:
    """Say how far it is: a run takes minutes."""
    print(text, flush=True)


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds `work` takes, on a GPU too."""
    settle()
    started = time.perf_counter()
    work()
    settle()
    return time.perf_counter() - started


def settle() -> None:
    """Wait until a GPU has done what it was told."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


class Bench:
    """One architecture's models, a live model, and what was measured.

    Args:
        architecture: Which.
        components: What is loaded and merged.
        folder: For the models' files.
        device: Where the model is loaded and merged.
        models: How many to make.
        mapped: Leave the models that the floor is measured with in their files' pages, where RAM is short.
    """

    def __init__(
        self, architecture: str, components: Sequence[str], folder: Path, device: str, models: int, mapped: bool
    ) -> None:
        self.device = device
        self.row = next(row for row in ARCHITECTURES if row.id == architecture)
        self.components, self.folder = components, folder
        self.paths = [folder / f"{name}.safetensors" for name in "abc"[:models]]
        for seed, path in enumerate(self.paths):
            make_model(path, architecture, seed, components)
        self.a, self.b = (
            {key: tensor.to(device, copy=not mapped) for key, tensor in load_file(str(path)).items()}
            for path in self.paths[:2]
        )
        self.live = Live({key: tensor.clone() for key, tensor in self.a.items()})
        self.size = sum(tensor.nbytes for tensor in self.a.values())
        self.cases: dict[str, dict[str, Any]] = {}
        shapes = {key: tuple(tensor.shape) for key, tensor in self.a.items()}
        table = identity_table(shapes, {key: (key,) for key in shapes})
        self.session = TableSession(self.live, table, self.row.component_of, self.paths[0])

    def record(self, name: str, seconds: float, **more: Any) -> None:
        entry = self.cases.setdefault(name, {"seconds": []})
        entry["seconds"].append(seconds)
        entry.update(more)

    def copy(self) -> None:
        for key, tensor in self.a.items():
            self.live.tensors[key].copy_(tensor)

    def lerp(self) -> None:
        for key, tensor in self.a.items():
            torch.lerp(tensor, self.b[key], 0.37, out=self.live.tensors[key])

    def floors(self, rounds: int) -> None:
        """Time the plain copy and the bare lerp."""
        self.copy()
        self.lerp()
        for _ in range(rounds):
            self.record("copy", timed(self.copy))
            self.record("torch.lerp", timed(self.lerp))
        self.copy()

    def open(self, method: str) -> Merger:
        chosen = merge_method(method)
        names = tuple(name for name in ("alpha", "beta") if chosen.parameter(name))
        guide = Guide(tuple(ComponentGuide(c, (Strategy("all", parameters=names),)) for c in self.components))
        blocks = block_map(self.row.block_map or "")
        space = space_of(guide, chosen, blocks)
        models = self.paths[: METHODS[method]]
        return Merger(chosen, models, self.row, blocks, space, 0, precision="fp16", device=self.device)

    def method(self, method: str, rounds: int) -> None:
        """Time a method's swaps, between copies; the first by itself: it reads the files and makes the constants."""
        merger = self.open(method)
        note(f"{method} …")
        for number in range(rounds + 1):
            values = {p.name: (0.3 + 0.01 * number + 0.001 * i) % 1 for i, p in enumerate(merger.space.parameters)}
            with self.session.live_weights() as weights:
                bare = Undigested(weights)
                anonymous, kept, disk = resident(), merger.constants.bytes, written_bytes()
                seconds = timed(lambda merger=merger, values=values, bare=bare: merger.write(values, bare))
                if number == 0:
                    self.record(f"{method}, first trial", seconds)
                    self.settle_in(merger)
                elif number == 1 and self.device != "cpu":
                    self.record(f"{method}, models moved there", seconds)
                else:
                    grown = resident() - anonymous - (merger.constants.bytes - kept)
                    self.record(
                        method, seconds, constants=merger.constants.bytes, extra_memory=grown,
                        disk=written_bytes() - disk,
                    )  # fmt: skip
                    if method == "weighted_sum":
                        self.record("digests of all that was written", timed(weights.digests))
                        again = {**values, "IN04_alpha": 0.9}
                        one = timed(lambda merger=merger, again=again, bare=bare: merger.write(again, bare))
                        self.record("weighted_sum, one block changed", one)
                left = time.perf_counter()
            if number and method == "weighted_sum":
                self.record("put back and compared", time.perf_counter() - left)
            self.record("copy", timed(self.copy))
        merger.close()

    def settle_in(self, merger: Merger) -> None:
        """Do what a host does after the first image: give the memory that is free."""
        if self.device != "cpu":
            merger.give_memory(spare_bytes(merge_device_of(self.device)))

    def mecha(self) -> None:
        """Time sd-mecha itself, as other tools use it."""
        mecha, target = sd_mecha(), self.folder / "merged.safetensors"
        config = self.row.mecha_config

        def merge(output: Any) -> None:
            recipe = mecha.weighted_sum(*(mecha.model(path, config) for path in self.paths[:2]), alpha=0.37)
            mecha.merge(
                recipe, merge_device=self.device, output=output, output_dtype=torch.float16, tqdm=quiet_progress()
            )

        self.record("sd_mecha.merge to memory", timed(lambda: merge(None)))
        disk = written_bytes()
        seconds = timed(lambda: (merge(target), load_file(str(target))))
        self.record("sd_mecha.merge to a file, and loaded", seconds, disk=written_bytes() - disk)

    def soak(self, trials: int) -> dict[str, float]:
        """Return how resident memory grows over many swaps: bytes per trial, and its standard error."""
        merger, sizes = self.open("weighted_sum"), []
        for number in range(trials + _WARM):
            values = {p.name: (0.001 * number + 0.01 * i) % 1 for i, p in enumerate(merger.space.parameters)}
            with self.session.live_weights() as weights:
                merger.write(values, Undigested(weights))
            if number >= _WARM:
                sizes.append(resident())
        merger.close()
        count = torch.arange(len(sizes), dtype=torch.float64)
        size = torch.tensor(sizes, dtype=torch.float64)
        spread = ((count - count.mean()) ** 2).sum()
        slope = ((count - count.mean()) * (size - size.mean())).sum() / spread
        rest = size - size.mean() - slope * (count - count.mean())
        error = (rest.square().sum() / (len(sizes) - 2) / spread).sqrt()
        return {"trials": trials, "bytes_per_trial": slope.item(), "standard_error": error.item()}

    def result(self) -> dict[str, Any]:
        """Return all figures, with their ratios to the floor."""
        copy = statistics.median(self.cases["copy"]["seconds"])
        for name, entry in self.cases.items():
            entry["median"] = statistics.median(entry["seconds"])
            entry["ratio_to_copy"] = entry["median"] / copy
            moved = self._moved(name, entry)
            if moved:
                entry["bytes_moved"] = moved
                entry["GB_per_s"] = moved / entry["median"] / 1e9
                entry["ratio_to_floor"] = entry["median"] / (copy * moved / (2 * self.size))
        return {"bytes": self.size, "tensors": len(self.a), "cases": self.cases}

    def _moved(self, name: str, entry: Mapping[str, Any]) -> int:
        """Bytes that a case must move: each of its sources once and the target once."""
        if name in METHODS:
            # A constant is a source, in fp32; of the models only A is read beside it.
            return 2 * self.size + int(entry["constants"]) if entry["constants"] else (METHODS[name] + 1) * self.size
        return {"copy": 2, "torch.lerp": 3}.get(name, 0) * self.size


def machine(device: str) -> dict[str, Any]:
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())  # fmt: skip
    gpu = "" if device == "cpu" else torch.cuda.get_device_name(device)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "processor": model, "gpu": gpu, "torch": torch.__version__, "threads": torch.get_num_threads(),
        "python": platform.python_version(), "commit": commit,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=("sd1", "sdxl"), default="sd1")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda to measure a GPU")
    parser.add_argument("--mapped", action="store_true", help="read the floor's models from their files' pages")
    parser.add_argument("--components", nargs="+", default=["unet", "text_encoder"])
    parser.add_argument("--methods", nargs="+", choices=sorted(METHODS), default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-mecha", action="store_true", help="leave out sd_mecha.merge itself, which takes a minute")
    parser.add_argument("--soak", type=int, default=0, metavar="TRIALS", help="see whether memory grows over so many")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    started = time.time()
    with tempfile.TemporaryDirectory(prefix="optim-swap-") as folder:
        models = max(METHODS[method] for method in options.methods)
        bench = Bench(options.architecture, options.components, Path(folder), options.device, models, options.mapped)
        bench.floors(options.rounds)
        for method in options.methods:
            bench.method(method, options.rounds)
        if not options.no_mecha:
            bench.mecha()
        result = bench.result()
        if options.soak:
            result["soak"] = bench.soak(options.soak)
        bench.session.close()
    report = {
        "architecture": options.architecture, "components": options.components, "rounds": options.rounds,
        "device": options.device, "mapped": options.mapped, "machine": machine(options.device),
        "date": time.strftime("%Y-%m-%d"), "duration": time.time() - started, **result,
    }  # fmt: skip
    for name, entry in result["cases"].items():
        ratio = f"{entry['ratio_to_floor']:.2f} x floor" if "ratio_to_floor" in entry else ""
        print(f"{name:38s} {entry['median']:8.3f} s  {entry['ratio_to_copy']:7.2f} x copy  {ratio}")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
