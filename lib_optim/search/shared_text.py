"""JSON in the attributes of a storage, of which some hold no more than MySQL's TEXT: 65,535 bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["read_text", "text_parts"]

_LONGEST = 30_000  # characters, all ASCII; the storage quotes the text once more, which at most doubles it


def text_parts(key: str, data: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes that hold `data` under `key`, in the order of writing: whole once ``key`` is there."""
    text = json.dumps(data)
    parts = [text[at : at + _LONGEST] for at in range(0, len(text), _LONGEST)]
    if len(parts) == 1:
        return {key: text}
    return {**{f"{key}:{number}": part for number, part in enumerate(parts)}, key: json.dumps({"parts": len(parts)})}


def read_text(key: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `text_parts` has written under `key`; empty if nothing is there."""
    data: dict[str, Any] = json.loads(attributes.get(key, "{}"))
    if set(data) != {"parts"}:
        return data
    whole: dict[str, Any] = json.loads("".join(attributes[f"{key}:{number}"] for number in range(data["parts"])))
    return whole
