"""Block weights that merge programs leave in checkpoints' metadata and images' infotext.

| where | key | who |
|---|---|---|
| metadata | ``sd_merge_recipe``, type ``optim`` | Optim |
| metadata | ``sd_merge_recipe``, type ``sd-webui-supermerger`` | supermerger |
| metadata | ``sd_merge_recipe`` with lists per model | model-mixer |
| metadata | ``sd_mbwrt_recipe`` (in older files ``sd_mbwrt_receipe``) | auto-MBW, runtime-block-merge of 6DammK9 |
| infotext | ``ModelMixer mbw weights b: "…"`` | model-mixer |
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.errors import PlanError
from lib_optim.plan.weight_strings import BlockWeights, parse_weights

__all__ = ["weights_of_infotext", "weights_of_metadata"]

_MBW = ("sd_mbwrt_recipe", "sd_mbwrt_receipe")
_MIXER = re.compile(r'ModelMixer (mbw weights|alpha) ([b-z]): ("(?:[^"\\]|\\.)*"|[^,\n]*)')


def weights_of_metadata(metadata: Mapping[str, str], blocks: BlockMap) -> BlockWeights:
    """Return the block weights with which a checkpoint was merged.

    Args:
        metadata: The text metadata of its file.
        blocks: Block map of model A, whose blocks the weights shall be for.

    Raises:
        PlanError: It says nothing of block weights, or nothing that can be used.
    """
    for key in ("sd_merge_recipe", *_MBW):
        recipe = _object(metadata.get(key))
        if recipe is None:
            continue
        if key in _MBW:
            return _auto_mbw(recipe, blocks)
        kind = str(recipe.get("type", ""))
        read = _RECIPES.get(kind)
        if read is None and isinstance(recipe.get("weights_alpha"), list | str):
            read = _mixer
        if read is None:
            raise PlanError(
                f"The file was merged by '{kind or 'an unknown program'}', which notes no block weights that Optim can "
                "read; paste them as numbers."
            )
        return read(recipe, blocks)
    raise PlanError("The file says nothing of block weights: it is no merge, or its program did not note them.")


def weights_of_infotext(infotext: str, blocks: BlockMap) -> BlockWeights:
    """Return the block weights with which an image was made.

    Raises:
        PlanError: Its infotext holds none, or none that can be used.
    """
    found: dict[str, dict[str, str]] = {}
    for kind, letter, text in _MIXER.findall(infotext):
        found.setdefault(letter, {})[kind] = _unquoted(text)
    for letter in sorted(found):
        text = found[letter].get("mbw weights") or found[letter].get("alpha", "")
        if text:
            return _said(parse_weights(text, blocks), "model-mixer", _others(len(found)))
    if run := re.search(r"Optim trial: (\S+) (\d+)", infotext):
        raise PlanError(
            f"The image is of trial {run[2]} of the run {run[1]}, whose weights stand in that run's trials.csv; open "
            "the run and copy them there."
        )
    raise PlanError("The image's infotext holds no block weights.")


def _optim(recipe: Mapping[str, Any], blocks: BlockMap) -> BlockWeights:
    values = recipe.get("values")
    table = values.get("alpha") if isinstance(values, Mapping) else None
    if not isinstance(table, Mapping):
        raise PlanError("The file was merged by Optim with a method that has no block weights (alpha).")
    known = {block.name for block in blocks.blocks}
    lost = [name for name in table if name not in known]
    if lost:
        raise PlanError(f"The file's weights are for a model of another kind: there is no block {lost[0]} here.")
    # Text and numbers go the same way as what is pasted, so that they are checked alike.
    return _said(parse_weights(",".join(f"{name}:{value}" for name, value in table.items()), blocks), "Optim")


def _supermerger(recipe: Mapping[str, Any], blocks: BlockMap) -> BlockWeights:
    if not recipe.get("mbw"):
        return _said(parse_weights(_text(recipe.get("base_alpha")), blocks), "supermerger")
    numbers, base = _text(recipe.get("weights_alpha")), recipe.get("base_alpha")
    count = len(numbers.split(","))
    if count == 20:  # its own form for SDXL: the UNet's 19 and the VAE, BASE apart
        numbers, count = numbers.rsplit(",", 1)[0], 19
    text = f"base_alpha={base}\n{numbers}" if count in (25, 19) and base is not None else numbers
    return _said(parse_weights(text, blocks), "supermerger")


def _mixer(recipe: Mapping[str, Any], blocks: BlockMap) -> BlockWeights:
    weights = recipe.get("weights_alpha")
    rows = weights if isinstance(weights, list) else [weights]
    alphas = recipe.get("alpha")
    alpha = alphas[0] if isinstance(alphas, list) and alphas else alphas
    first = rows[0] if rows and rows[0] not in (None, "", []) else alpha
    return _said(parse_weights(_text(first), blocks), "model-mixer", _others(len(rows)))


def _auto_mbw(recipe: Mapping[str, Any], blocks: BlockMap) -> BlockWeights:
    return _said(parse_weights(_text(recipe.get("mbwrt_weights")), blocks, "ends-last"), "auto-MBW")


_RECIPES: Mapping[str, Callable[[Mapping[str, Any], BlockMap], BlockWeights]] = {
    "optim": _optim, "sd-webui-supermerger": _supermerger, "sd-webui-model-mixer": _mixer, "auto-mbw-rt": _auto_mbw,
}  # fmt: skip


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text)) if text.startswith('"') else text.strip()
    except ValueError:  # a quote that does not end, or what no text may hold
        return text.strip('"')


def _object(text: str | None) -> Mapping[str, Any] | None:
    try:
        content = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, Mapping) else None


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return "" if value is None else str(value)


def _said(found: BlockWeights, program: str, *notes: str) -> BlockWeights:
    return replace(found, form=f"{found.form}, noted by {program}", notes=(*found.notes, *filter(None, notes)))


def _others(count: int) -> str:
    return f"The merge had {count} more models; these are the weights of model B." if count > 1 else ""
