"""Pasting block weights into the form, and copying those of a trial: what the page asks, as JSON.

POST /optim/api/weights {base, text | checkpoint | png, order, width}   what a text, a checkpoint or an image means
POST /optim/api/block_weights {trial, folder}                           a trial's weights, as others write them
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.errors import OptimError, PlanError
from lib_optim.plan.weight_names import main_blocks
from lib_optim.plan.weight_strings import BlockWeights, OrderNeeded, parse_weights
from lib_optim.run.weight_files import weights_of_checkpoint, weights_of_image
from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.ui.catalog import Catalog

__all__ = ["lines_around", "lines_fixed", "understood"]

_WIDTH = 0.15


def understood(call: Call, catalog: Catalog) -> dict[str, Any]:
    """Return what the pasted text, the chosen checkpoint or image says, or why it says nothing.

    Weights that cannot be used are an answer here, not an error.

    Raises:
        Refused: The request is malformed.
    """
    choices = catalog.choices()
    base = choices.models.get(str(call.body.get("base") or ""))
    empty: dict[str, Any] = {"weights": {}, "form": "", "notes": [], "orders": [], "problems": []}
    if base is None:
        return {**empty, "problems": ["Choose model A first: the weights are for its blocks."]}
    try:
        blocks = choices.blocks(base.path)
        found = _found(call.body, blocks, {str(c.path): c.path for c in choices.models.values()})
    except OrderNeeded as needed:
        orders = [{"id": row.id, "title": row.title.partition(": ")[2]} for row in needed.orders]
        return {**empty, "orders": orders, "notes": [str(needed)]}
    except PlanError as error:
        return {**empty, "problems": [problem.sentence for problem in error.problems]}
    except OptimError as error:
        return {**empty, "problems": [str(error)]}
    width = call.body.get("width")
    number = float(width) if isinstance(width, int | float) and not isinstance(width, bool) and width > 0 else _WIDTH
    return {
        **empty,
        "weights": found.weights,
        "form": found.form,
        "notes": list(found.notes),
        "around": lines_around(found.weights, blocks, number),
        "fixed": lines_fixed(found.weights, blocks),
    }


def _found(body: Mapping[str, Any], blocks: BlockMap, files: Mapping[str, Path]) -> BlockWeights:
    if body.get("png"):
        try:
            data = base64.b64decode(str(body["png"]), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused(400, "The image did not arrive whole.") from error
        return weights_of_image(data, blocks)
    if body.get("checkpoint"):
        path = files.get(str(body["checkpoint"]))
        if path is None:
            raise PlanError("That checkpoint is not in the list any more; refresh the models.")
        return weights_of_checkpoint(path, blocks)
    return parse_weights(str(body.get("text") or ""), blocks, str(body.get("order") or ""))


def lines_around(weights: Mapping[str, float], blocks: BlockMap, width: float) -> str:
    """Return lines for "Custom" that search around `weights`, at most `width` away and inside 0..1 where they are.

    Blocks without a weight stay as in model A, and a comment says so.
    """
    lines = []
    for name, value in _said(weights, blocks).items():
        low, high = max(value - width, min(0.0, value)), min(value + width, max(1.0, value))
        lines.append(f"{name}: {_number(low)}..{_number(high)}")
    left = [name for name in main_blocks(blocks) if name not in weights]
    return "\n".join([*lines, *([f"# as in model A: {', '.join(left)}"] if left else [])])


def lines_fixed(weights: Mapping[str, float], blocks: BlockMap) -> str:
    """Return lines for "Custom" that fix `weights` and search the other blocks."""
    lines = [f"{name}: ={_number(value)}" for name, value in _said(weights, blocks).items()]
    return "\n".join(lines + [f"{name}: 0..1" for name in main_blocks(blocks) if name not in weights])


def _said(weights: Mapping[str, float], blocks: BlockMap) -> dict[str, float]:
    """Leave out what follows from another block's weight."""
    found = {}
    for name, value in weights.items():
        follows = blocks.block(name).follows
        if follows is None or weights.get(follows) != value:
            found[name] = value
    return found


def _number(value: float) -> str:
    return repr(round(value, 6) + 0.0).removesuffix(".0")
