"""Block maps: which keys of a checkpoint belong to which named block. Declarative YAML, one file per layout."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean

__all__ = ["Block", "BlockMap", "block_map", "block_map_names", "parse_block_map"]

_FOLDER = Path(__file__).parent / "block_maps"
_MOST_ROWS = 1000


@dataclass(frozen=True)
class Block:
    """One named block.

    Attributes:
        name: As the field writes it: ``BASE``, ``IN00`` … ``OUT11``.
        component: ``unet``, ``text_encoder`` or ``vae``.
        title: One line for the user.
        patterns: Regular expressions; a key belongs to the block if one matches at the key's start.
        follows: A block whose values this one takes unless the guide names it, or None. Keeps the classic
            26 numbers: time embedding with IN00, output layer with the last OUT block (as supermerger does).
        depth: Position along the component from 0 to 1, or None for blocks without one.
        key: The one tensor that the block stands for, where a guide takes it out of the block that it follows
            (`lib_optim.plan.refine`); None for all others.
    """

    name: str
    component: str
    title: str
    patterns: tuple[str, ...]
    follows: str | None
    depth: float | None
    key: str | None = None


@dataclass(frozen=True)
class BlockMap:
    """The blocks of one architecture, in the order in which users write their weights."""

    id: str
    architecture: str
    blocks: tuple[Block, ...]

    def block(self, name: str) -> Block:
        """Return the block called `name` in any case.

        Raises:
            PlanError: There is none; names the nearest.
        """
        block = self._by_name.get(name.casefold())
        if block is not None:
            return block
        names = [block.name for block in self.blocks if block.key is None]
        raise PlanError(f"'{name}' is not a block of {self.id}.{did_you_mean(name, names)}")

    def chain(self, name: str) -> tuple[str, ...]:
        """Return the name of a block, then of the one it follows, and so on: whose values it takes, the nearest first.

        Raises:
            PlanError: There is no such block.
        """
        block = self.block(name)
        return (block.name,) if block.follows is None else (block.name, *self.chain(block.follows))

    def of_component(self, component: str) -> tuple[Block, ...]:
        """Return the blocks of `component`, in order."""
        return tuple(block for block in self.blocks if block.component == component)

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the components, in order."""
        return tuple(dict.fromkeys(block.component for block in self.blocks))

    def block_of(self, key: str) -> str | None:
        """Return the name of the block that `key` belongs to, or None."""
        if key in self._by_key:
            return self._by_key[key]
        for name, pattern in self._compiled:
            if pattern.match(key):
                return name
        return None

    def by_block(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """Group `keys` by block name, in map order; keys outside every block are left out."""
        grouped: dict[str, list[str]] = {block.name: [] for block in self.blocks}
        for key in keys:
            name = self.block_of(key)
            if name is not None:
                grouped[name].append(key)
        return grouped

    @functools.cached_property
    def _by_name(self) -> Mapping[str, Block]:
        return {block.name.casefold(): block for block in reversed(self.blocks)}

    @functools.cached_property
    def _by_key(self) -> Mapping[str, str]:
        return {block.key: block.name for block in self.blocks if block.key is not None}

    @functools.cached_property
    def _compiled(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((b.name, re.compile(p)) for b in self.blocks for p in b.patterns)


def block_map_names() -> tuple[str, ...]:
    """Return the names of the block maps that ship with Optim."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@functools.cache
def block_map(name: str) -> BlockMap:
    """Return the shipped block map called `name`.

    Raises:
        PlanError: There is none of that name.
    """
    path = _FOLDER / f"{name}.yaml"
    if name not in block_map_names():
        raise PlanError(f"There is no block map '{name}'.{did_you_mean(name, block_map_names())}")
    return parse_block_map(path.read_text(encoding="utf-8"), name)


def parse_block_map(text: str, where: str) -> BlockMap:
    """Parse a block map from YAML `text`.

    A row with ``from`` and ``to`` stands for several blocks; ``{n}`` in its name and patterns is replaced.

    Raises:
        PlanError: Broken YAML, missing or wrong fields, a bad pattern, a name used twice, a ``follows`` that
            names no block or one that follows itself.
    """
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PlanError(f"The block map {where} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(data, Mapping) or not isinstance(data.get("blocks"), list):
        raise PlanError(f"The block map {where} needs the fields id, architecture and blocks.")
    rows = [row for entry in data["blocks"] for row in _rows(entry, where)]
    depths = _depths(rows)
    blocks = tuple(
        Block(
            row["name"], str(row["component"]), str(row.get("title", row["name"])),
            tuple(row["keys"]), None if row.get("follows") is None else str(row["follows"]), depths.get(row["name"]),
        )
        for row in rows
    )  # fmt: skip
    problems = list(_check(blocks, where))
    if problems:
        raise PlanError(problems)
    return BlockMap(str(data.get("id", where)), str(data.get("architecture", where)), blocks)


def _rows(entry: Any, where: str) -> Iterable[dict[str, Any]]:
    if not isinstance(entry, Mapping) or not {"name", "component", "keys"} <= set(entry):
        raise PlanError(f"Every block of the map {where} needs name, component and keys.")
    if not isinstance(entry["keys"], list) or not all(isinstance(key, str) for key in entry["keys"]):
        raise PlanError(f"The keys of block {entry['name']} in the map {where} must be a list of patterns.")
    if not {"from", "to"} & set(entry):
        yield {**entry, "name": str(entry["name"])}
        return
    first, last = entry.get("from"), entry.get("to")
    if type(first) is not int or type(last) is not int or not 0 <= first <= last < _MOST_ROWS:
        raise PlanError(
            f"Block {entry['name']} of the map {where} needs whole numbers for from and to, in order, "
            f"below {_MOST_ROWS}."
        )
    for n in range(first, last + 1):
        name = str(entry["name"]).replace("{n}", f"{n:02d}")
        yield {**entry, "name": name, "title": str(entry.get("title", name)).replace("{n}", str(n)),
               "keys": [key.replace("{n}", str(n)) for key in entry["keys"]]}  # fmt: skip


def _depths(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Depth along the UNet, which presets and curves are drawn over: its blocks without ``follows``."""
    names = [row["name"] for row in rows if row["component"] == "unet" and not row.get("follows")]
    return {name: i / (len(names) - 1) if len(names) > 1 else 0.0 for i, name in enumerate(names)}


def _check(blocks: tuple[Block, ...], where: str) -> Iterable[Problem]:
    names = [block.name.casefold() for block in blocks]
    for block in blocks:
        if names.count(block.name.casefold()) > 1:
            yield Problem(where, f"The block map {where} names the block {block.name} twice.")
    leaders = {block.name: block.component for block in blocks if block.follows is None}
    for block in blocks:
        if block.follows is not None and leaders.get(block.follows) != block.component:
            yield Problem(
                where,
                f"Block {block.name} of {where} follows '{block.follows}', which is no block of {block.component} "
                "with a value of its own.",
            )
        for pattern in block.patterns:
            try:
                re.compile(pattern)
            except (re.error, OverflowError) as error:
                yield Problem(where, f"Block {block.name} of {where} has a broken pattern '{pattern}': {error}.")
