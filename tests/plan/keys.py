"""The true key lists of published checkpoints, read from the configs that sd-mecha ships (without importing it)."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["config_identifier", "config_keys", "write_header"]

_KEY = re.compile(r"^    (\S+): \{shape: (\[[\d, ]*\])")
_COMPONENT = re.compile(r"^  (\w+):\s*$")


def _text(config: str) -> str:
    package = importlib.util.find_spec("sd_mecha")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "extensions" / "builtin" / "model_configs"
    return (folder / f"{config}.yaml").read_text(encoding="utf-8")


@functools.cache
def config_keys(config: str) -> Mapping[str, tuple[str, ...]]:
    """Return component to its keys, as `config` (``sd1-ldm`` …) lists them."""
    found: dict[str, list[str]] = {}
    component = ""
    for line in _text(config).splitlines():
        if head := _COMPONENT.match(line):
            component = head[1]
        elif entry := _KEY.match(line):
            found.setdefault(component, []).append(entry[1])
    return {name: tuple(keys) for name, keys in found.items()}


def config_identifier(config: str) -> str:
    """Return the name by which sd-mecha calls the config of that file."""
    head = re.search(r"^identifier: (\S+)$", _text(config), re.MULTILINE)
    assert head is not None
    return head[1]


def write_header(path: Path, keys: Iterable[str]) -> Path:
    """Write a valid safetensors file with an empty tensor per key."""
    content = {key: {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]} for key in keys}
    raw = json.dumps(content).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)
    return path
