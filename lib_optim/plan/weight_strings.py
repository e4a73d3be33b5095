"""Block weights as people paste them: strings of numbers, named weights, presets.

| text | means |
|---|---|
| ``0,0.5,1,…`` (26, 25, 27; SDXL 20, 21, 19, 26) | one number per block, see `weight_layouts` |
| ``base:.5,in00:1,out09:.8,time_embed:0`` | these blocks; case does not matter; a later entry wins |
| ``all:.5,IN00-IN05:.2,OUT*:1,NOT IN00:0`` | the whole UNet, a range, a wildcard, all but one |
| ``GRAD_V`` | a preset by name |
| ``0.4`` | one weight for everything but the VAE |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.errors import PlanError, Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.presets import PRESETS, preset
from lib_optim.plan.weight_layouts import FOREIGN_COUNTS, LAYOUTS, NO_TEXT, Layout, layouts_of
from lib_optim.plan.weight_names import blocks_named, main_blocks

__all__ = ["BlockWeights", "OrderNeeded", "parse_weights"]

_MOST_CHARACTERS = 5000
_LARGEST = 100.0
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_ASSIGNED = re.compile(r"(?i)^\s*(modelA|modelB|modelO|position_id_fix|output_mode)\s*=.*$", re.MULTILINE)
_BASE_LINE = re.compile(r"(?i)^\s*base_alpha\s*[=:]\s*([^\s,;]+)[\s,;]+(?=[+-]?[.\d])")
_RANDOM = {
    "R": "a random number from 0 to 1", "U": "a random number from -0.5 to 1.5", "X": "a random number between sliders",
    "ALLR": "random numbers everywhere",
}  # fmt: skip
_RB_BASE = (
    "'base' is the text encoder here; in runtime-block-merge it sets every block of the UNet: write 'all' if you mean "
    "that."
)


@dataclass(frozen=True)
class BlockWeights:
    """What a text was understood as.

    Attributes:
        weights: Block name to weight, in the order of the block map; blocks that the text does not name are absent.
        form: The form that it was recognised as, for the user.
        notes: What the user should know, a sentence each.
    """

    weights: Mapping[str, float]
    form: str
    notes: tuple[str, ...] = ()


class OrderNeeded(PlanError):
    """The numbers are fine, but programs write so many in several orders: the user has to say which."""

    def __init__(self, orders: tuple[Layout, ...]) -> None:
        self.orders = orders
        count = len(orders[0].names)
        super().__init__(
            f"{count} numbers are written in {len(orders)} orders by different programs; choose the one they came from."
        )


def parse_weights(text: str, blocks: BlockMap, order: str = "") -> BlockWeights:
    """Understand pasted block weights.

    Args:
        text: In one of the forms of this module.
        blocks: Block map of model A.
        order: Id of a `Layout`, where the count of numbers does not say which.

    Raises:
        OrderNeeded: `order` is needed.
        PlanError: A sentence per problem.
    """
    text = _ASSIGNED.sub("", text).strip().strip(",;").strip()
    if not text:
        raise PlanError("Nothing is pasted: write block weights such as 0,0.5,1,… or base:0.5,in00:1 or GRAD_V.")
    if len(text) > _MOST_CHARACTERS:
        raise PlanError(f"The text has {len(text)} characters, too many for block weights; paste only the weights.")
    if ":" in text and not _BASE_LINE.match(text):
        return _named(text, blocks)
    name = text.split("\t")[0].strip() if "\t" in text else text
    if name.casefold() in {row.name.casefold() for row in PRESETS}:
        return _preset(name, blocks)
    return _numbers(text, blocks, order)


def _preset(name: str, blocks: BlockMap) -> BlockWeights:
    row = preset(name)
    found = {b.name: b for b in blocks.blocks}
    weights = {
        name: row.base if (depth := found[name].depth) is None else row.curve(depth) for name in main_blocks(blocks)
    }
    return BlockWeights(weights, f"the preset {row.name}")


# Numbers only


def _numbers(text: str, blocks: BlockMap, order: str) -> BlockWeights:
    base = _BASE_LINE.match(text)
    parts = _split(text[base.end() :] if base else text)
    problems: list[Problem] = []
    values = [_number(part, f"Number {i}", problems) for i, part in enumerate(parts, 1)]
    if len(parts) == 1 and problems and not _NUMBER.fullmatch(parts[0]) and parts[0].upper() not in _RANDOM:
        known = [row.name for row in PRESETS]
        raise PlanError(
            f"'{_short(text)}' is neither block weights nor a preset.{did_you_mean(text, known)} Write "
            "0,0.5,1,… or base:0.5,in00:1 or GRAD_V."
        )
    alpha = _number(base[1], "base_alpha", problems) if base else None
    if problems:
        raise PlanError(problems)
    if len(values) == 1 and base is None:
        note = "One number is used for the text encoder and every block of the UNet."
        return BlockWeights(dict.fromkeys(main_blocks(blocks), values[0]), "one weight for all blocks", (note,))
    layout = _layout(len(values), blocks, order)
    there = {block.name for block in blocks.blocks}
    weights = {name: value for name, value in zip(layout.names, values, strict=True) if name in there}
    notes = [layout.note[blocks.id]] if blocks.id in layout.note else []
    if alpha is not None:
        if "BASE" in weights:
            raise PlanError(f"The text has base_alpha and {len(values)} numbers with BASE among them; drop one.")
        weights["BASE"] = alpha
        notes = [note.replace(f"{NO_TEXT} ", "") for note in notes if note != NO_TEXT]
    return BlockWeights(_in_order(weights, blocks), layout.title, tuple(notes))


def _split(text: str) -> list[str]:
    parts = re.split(r"[,;]", text) if re.search(r"[,;]", text) else text.split()
    return [part.strip() for part in parts]


def _number(text: str, what: str, problems: list[Problem]) -> float:
    """Return a weight; where it is none, add a sentence and return 0."""
    sentence = ""
    if not text:
        sentence = f"{what} is missing: two commas follow each other."
    elif text.upper() in _RANDOM:
        meaning = _RANDOM[text.upper()]
        sentence = f"{what} is '{text}', {meaning} in supermerger; write a number, or let the search vary the block."
    elif not _NUMBER.fullmatch(text):
        sentence = f"{what}, '{_short(text)}', is no number."
    elif not abs(float(text)) <= _LARGEST:
        sentence = f"{what}, {_short(text)}, is no sensible weight; weights lie between -{_LARGEST:g} and {_LARGEST:g}."
    if sentence:
        problems.append(Problem("weights", sentence))
        return 0.0
    return float(text)


def _layout(count: int, blocks: BlockMap, order: str) -> Layout:
    fitting = layouts_of(blocks.id, count)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        chosen = next((row for row in fitting if row.id == order), None)
        if chosen is None:
            raise OrderNeeded(fitting)
        return chosen
    counts = sorted({len(row.names) for row in LAYOUTS if blocks.id in row.maps}, reverse=True)
    if not counts:
        # A map of the user's own, or of a new architecture: its own order, with or without the text encoder.
        main = main_blocks(blocks)
        unet = tuple(name for name in main if blocks.block(name).component == "unet")
        for names in (main, unet):
            if len(names) == count:
                return Layout("", f"{count} numbers in the order of the blocks", names, (blocks.id,), {})
        counts = sorted((len(main), len(unet)), reverse=True)
    wanted = ", ".join(map(str, counts[:-1])) + (" or " if counts[:-1] else "") + str(counts[-1])
    reason = FOREIGN_COUNTS.get(count, "some are missing or too many")
    raise PlanError(f"{count} numbers cannot be used for {blocks.id.upper()}: {reason}; it takes {wanted}.")


# Names


def _named(text: str, blocks: BlockMap) -> BlockWeights:
    problems: list[Problem] = []
    notes: list[str] = []
    entries: list[tuple[tuple[str, ...], float]] = []
    for part in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        left, colon, right = (piece.strip() for piece in part.partition(":"))
        if not colon:
            sentence = f"'{_short(part)}' names no block; write block:weight, such as in00:0.5."
            problems.append(Problem("weights", sentence))
            continue
        if ":" in right:
            sentence = (
                f"'{_short(part)}' weighs single elements of a block (supermerger's elemental merge), which Optim "
                "cannot take over; write block:weight."
            )
            problems.append(Problem("weights", sentence))
            continue
        try:
            names = blocks_named(left, blocks)
        except PlanError as error:
            problems.extend(Problem("weights", problem.sentence) for problem in error.problems)
            names = ()
        value = _number(right, f"The weight of {left}", problems)
        # "all" is the ground that the others stand on, wherever it is written.
        entries.insert(0, (names, value)) if left.casefold() == "all" else entries.append((names, value))
        if left.casefold() == "base" and "all" not in text.casefold():
            notes = [_RB_BASE]
    if problems:
        raise PlanError(problems)
    weights = {name: value for names, value in entries for name in names}
    return BlockWeights(_in_order(weights, blocks), "named weights", tuple(notes))


def _in_order(weights: Mapping[str, float], blocks: BlockMap) -> dict[str, float]:
    return {block.name: weights[block.name] for block in blocks.blocks if block.name in weights}


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:37] + "…"
