"""Whether a scorer of a plan can work, found out without loading it."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.payload import ImageJob
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.base import OptionRow, ScorerRow
from lib_optim.scoring.registry import scorer_row

__all__ = ["scorer_problems", "scorers_problems"]


def scorers_problems(specs: Sequence[ScorerSpec], models_dir: Path, jobs: Sequence[ImageJob] = ()) -> list[Problem]:
    """Return all that is wrong with the scorers of a plan; see `scorer_problems`."""
    if not specs:
        return [Problem("scorers", "No scorer was chosen, so no merge could be judged; choose at least one.")]
    found = [p for i, spec in enumerate(specs) for p in scorer_problems(spec, models_dir, f"scorers[{i}]", jobs)]
    if all(spec.weight == 0 for spec in specs):
        found.append(
            Problem("scorers", "Every judge has weight 0 and is only watched, so none decides; raise a weight.")
        )
    ids = [spec.key for spec in specs]
    return found + [
        Problem("scorers", f"The scorer {name} is listed {ids.count(name)} times; keep one of them.")
        for name in dict.fromkeys(ids)
        if ids.count(name) > 1
    ]


def scorer_problems(
    spec: ScorerSpec, models_dir: Path, where: str = "scorers", jobs: Sequence[ImageJob] = ()
) -> list[Problem]:
    """Return why `spec` cannot work, a sentence each: unknown id, weight, device, options, packages, files.

    Args:
        spec: The scorer as the plan has it.
        models_dir: Where scorers' weights are kept.
        where: Path of `spec` inside the plan, for the problems.
        jobs: The images of a trial, for scorers that need a file per image. Empty: not known yet.
    """
    try:
        row = scorer_row(spec.id)
    except PlanError as error:
        return [Problem(f"{where}.id", str(error))]
    found: list[Problem] = []
    if not (math.isfinite(spec.weight) and spec.weight >= 0):
        sentence = f"The weight of the scorer {spec.id} is {spec.weight:g}; it must be above 0, or 0 to watch it only."
        found.append(Problem(f"{where}.weight", sentence))
    if row.manual and spec.weight == 0:
        sentence = (
            f"The rating {spec.key} has weight 0, so your ratings would count for nothing; raise it or leave it out."
        )
        found.append(Problem(f"{where}.weight", sentence))
    found += [Problem(f"{where}.name", sentence) for sentence in _name_problems(row, spec)]
    found += [Problem(f"{where}.device", sentence) for sentence in _device_problems(row, spec.device)]
    found += [
        Problem(f"{where}.packages", f"The scorer {row.id} needs the Python package {name}, which is not installed.")
        for name in row.packages
        if importlib.util.find_spec(name) is None
    ]
    options = _option_problems(row, spec)
    found += [Problem(f"{where}.options.{name}", sentence) for name, sentence in options]
    if row.check is not None and not options:
        seen = [job for job in jobs if spec.judges(job.payload.name)]
        found += [Problem(f"{where}.options.{name}", text) for name, text in row.check(spec.options, models_dir, seen)]
    return found


def _name_problems(row: ScorerRow, spec: ScorerSpec) -> list[str]:
    if not spec.name:
        return []
    if not row.manual:
        return [f"The scorer {row.id} has the name '{spec.name}'; only ratings by hand have names, so take it out."]
    plain = spec.name == spec.name.strip() and spec.name.isprintable() and len(spec.name) <= 40
    return [] if plain else [f"The rating '{spec.name}' needs a name of 1 to 40 characters, no blanks around it."]


def _device_problems(row: ScorerRow, device: str) -> list[str]:
    kind, _, number = device.partition(":")
    if device != "auto" and (kind not in {"cpu", "cuda"} or (number and (kind == "cpu" or not number.isdigit()))):
        return [f"'{device}' is not a device for the scorer {row.id}; it must be auto, cpu, cuda or cuda:N."]
    if kind == "cuda" and "cuda" not in row.devices:
        return [f"The scorer {row.id} runs on the CPU only; set its device to auto or cpu."]
    if kind == "cuda":
        import torch

        if not torch.cuda.is_available():
            return [f"The scorer {row.id} shall run on {device}, but this PyTorch sees no GPU; set auto or cpu."]
        if int(number or 0) >= torch.cuda.device_count():
            return [f"The scorer {row.id} shall run on {device}, but there are {torch.cuda.device_count()} GPUs."]
    return []


def _option_problems(row: ScorerRow, spec: ScorerSpec) -> list[tuple[str, str]]:
    known = {option.name: option for option in row.options}
    found = [
        (name, f"The scorer {row.id} has no option '{name}'.{did_you_mean(name, known)}")
        for name in spec.options
        if name not in known
    ]
    for option in row.options:
        sentence = _value_problem(row, option, spec.options.get(option.name, option.default))
        if sentence:
            found.append((option.name, sentence))
    return found


def _value_problem(row: ScorerRow, option: OptionRow, value: Any) -> str:
    label = f"The option '{option.name}' of the scorer {row.id}"
    empty = value is None or (isinstance(value, str) and not value.strip())
    if empty:
        return f"{label} is not set: {option.title}." if option.required else ""
    if option.kind == "bool":
        return "" if isinstance(value, bool) else f"{label} must be true or false, not {value!r}."
    if option.kind == "number":
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return "" if good else f"{label} must be a number, not {value!r}."
    if not isinstance(value, str):
        return f"{label} must be text, not {value!r}."
    if option.kind == "choice" and value not in option.choices:
        return (
            f"{label} must be one of {', '.join(option.choices)}, not '{value}'.{did_you_mean(value, option.choices)}"
        )
    if option.kind in {"path", "image"} and not Path(value).exists():
        return f"{label} is {value}, which does not exist; check the path."
    return ""
