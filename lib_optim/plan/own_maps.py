"""Block maps of the user: YAML files in a folder of theirs, in the form of those that ship with Optim.

    # the attention of SD1's UNet apart from the rest
    id: attention
    architecture: sd1
    blocks:
      - {name: BASE, component: text_encoder, keys: ['cond_stage_model\\.']}
      - {name: ATTN, component: unet, keys: ['model\\.diffusion_model\\..*attn']}
      - {name: 'IN{n}', component: unet, from: 0, to: 11, keys: ['model\\.diffusion_model\\.input_blocks\\.{n}\\.']}

A plan holds the text of its map, so that a run goes on wherever its models are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_optim.plan.architectures import ARCHITECTURES, Architecture
from lib_optim.plan.blocks import BlockMap, parse_block_map
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.patterns import pattern_problem
from lib_optim.plan.yaml_lines import at_line, read_yaml

__all__ = ["BLOCK_MAPS_FOLDER", "OwnMap", "map_problems", "own_maps", "plan_blocks", "read_block_map"]

BLOCK_MAPS_FOLDER = "block_maps"
"""The folder's name, in the host's data folder."""

_MAP_FIELDS = ("id", "architecture", "blocks")
_BLOCK_FIELDS = ("name", "component", "title", "keys", "follows", "from", "to")


@dataclass(frozen=True)
class OwnMap:
    """One file.

    Attributes:
        name: The file's name without its ending.
        text: What is in it.
        architecture: Id of the architecture that it is for; empty if it is broken.
        problems: Why it cannot be used, sentence by sentence.
    """

    name: str
    text: str
    architecture: str
    problems: tuple[str, ...] = ()


def own_maps(folder: Path) -> tuple[OwnMap, ...]:
    """Return the user's block maps, broken ones too, by name."""
    files = sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))) if folder.is_dir() else []
    return tuple(_own(path) for path in files)


def _own(path: Path) -> OwnMap:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return OwnMap(path.stem, text, read_block_map(text).architecture)
    except PlanError as error:
        return OwnMap(path.stem, "", "", tuple(f"{path.name}: {problem}" for problem in error.problems))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return OwnMap(path.stem, "", "", (f"{path.name} cannot be read: {reason}.",))


def read_block_map(text: str, what: str = "The block map") -> BlockMap:
    """Read a block map of the user; strict, where `parse_block_map` trusts what ships with Optim.

    Raises:
        PlanError: Every problem that can be told without a checkpoint, with its line.
    """
    data, lines = read_yaml(text, what)
    if not isinstance(data, Mapping):
        raise PlanError(f"{what} needs the fields {', '.join(_MAP_FIELDS)}.")
    problems = [_unknown(name, "", _MAP_FIELDS) for name in data if name not in _MAP_FIELDS]
    known = [row.id for row in ARCHITECTURES if row.block_map]
    row = next((row for row in ARCHITECTURES if row.id == data.get("architecture") and row.block_map), None)
    if row is None:
        given = str(data.get("architecture", ""))
        sentence = f"The architecture '{given}' is none of {', '.join(known)}.{did_you_mean(given, known)}"
        problems.append(Problem("architecture", sentence))
    entries = data.get("blocks")
    for i, entry in enumerate(entries if isinstance(entries, list) else ()):
        where = f"blocks[{i}]"
        if not isinstance(entry, Mapping):
            continue  # the parser says what is missing
        problems.extend(_unknown(name, where, _BLOCK_FIELDS) for name in entry if name not in _BLOCK_FIELDS)
        component = str(entry.get("component", ""))
        if row is not None and "component" in entry and component not in row.components:
            hint = did_you_mean(component, row.components)
            problems.append(Problem(where, f"'{component}' is none of {', '.join(row.components)}.{hint}"))
        written: Any = entry.get("keys")
        patterns: list[str] = [str(pattern) for pattern in written] if isinstance(written, list) else []
        reasons = {pattern: pattern_problem(pattern.replace("{n}", "0")) for pattern in patterns}
        problems.extend(
            Problem(where, f"The pattern '{pattern[:60]}' is not used: {why}; write another.")
            for pattern, why in reasons.items()
            if why
        )
        plain = str(entry.get("name", "x")).replace("{n}", "0")
        if not re.fullmatch(r"[^\W\d]\w*", plain) or plain.casefold() in ("unet", "text_encoder", "vae"):
            sentence = f"'{entry.get('name')}' cannot be the name of a block; use letters and digits."
            problems.append(Problem(where, sentence))
    if problems:
        raise PlanError(at_line(problem, lines) for problem in problems)
    return parse_block_map(text, str(data.get("id") or what))


def _unknown(name: object, where: str, fields: Iterable[str]) -> Problem:
    path = f"{where}.{name}" if where else str(name)
    return Problem(path, f"'{name}' is not a field of a block map.{did_you_mean(str(name), fields)}")


def plan_blocks(text: str, usual: BlockMap) -> BlockMap:
    """Return the block map of a plan: the one it holds, or the usual one of its models.

    Args:
        text: `RunPlan.block_map`.
        usual: The map that ships with Optim for the architecture of model A.

    Raises:
        PlanError: The text is no block map, or for another architecture.
    """
    if not text.strip():
        return usual
    blocks = read_block_map(text)
    if blocks.architecture != usual.architecture:
        sentence = f"The block map {blocks.id} is for {blocks.architecture}, but model A is {usual.architecture}; "
        raise PlanError([Problem("block_map", f"{sentence}choose another block map.")])
    return blocks


def map_problems(
    blocks: BlockMap, architecture: Architecture, keys: Iterable[str], merged: Collection[str]
) -> Iterator[Problem]:
    """Yield what is wrong with a user's map for these very tensors: blocks without any, or of two components.

    Args:
        blocks: From `read_block_map`.
        architecture: Of model A.
        keys: The floating tensors of model A's file.
        merged: The blocks that matter.
    """
    for name, found in blocks.by_block(keys).items():
        block = blocks.block(name)
        if name not in merged:
            continue
        if not found and block.key is None:
            yield Problem("block_map", f"The block {name} of {blocks.id} holds no tensor of model A; mend its keys.")
        stray = next((key for key in found if architecture.component_of(key) != block.component), None)
        if stray is not None:
            yield Problem(
                "block_map",
                f"The block {name} of {blocks.id} is of {block.component}, but holds {stray}; mend its keys.",
            )
