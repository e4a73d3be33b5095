"""Valid inputs, spoilt: bytes, texts and JSON. Every change is drawn from a `random.Random`, so that it comes again."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["NASTY_TEXTS", "NASTY_VALUES", "spoilt_bytes", "spoilt_json", "spoilt_text"]

NASTY_TEXTS = (
    "", " ", "\0", "\ufeff", "\ud800", "\udcff", "a\u0301" * 50, "\u202e", "\r", "\n\n", "..", "../../../etc/passwd",
    "..\\..\\windows\\win.ini", "C:", "C:\\x", "\\\\server\\share", "NUL", "con.txt", "x.", "x ", "/etc/passwd",
    "~root",
    "%s%n", "%2e%2e%2f", "{0}", "${x}", "__x__", "{{", "}}", "{a|", "|}", "$$", "99$$a|b", "0$$a|b", "::", "1e999::a|b",
    "<lora:x:1>", "<script>alert(1)</script>", "'", '"', "\\", "`id`", "; rm -rf x", "x" * 5000, "9" * 400, "9" * 5000,
    "1e308", "1e-400", "-0", "nan", "inf", "-inf", "0x10", "1_0", "٣", "½", "null", "true", "no", "---", "&a [*a]",
    "!!python/object:os.system x", "- " * 300, "[" * 3000, "{" * 3000, '{"a":' * 3000, "(" * 500, "(a+)+$", "=",
    "=IN05",
    "0..1", "1..0", "0..1 step 0", "0..1e308", "0..1 step 1e-300", "..", "...", "IN*", "*" * 200, "IN00-IN99999999",
    "\x1b[31m", "\x85", "\u2028", "=cmd|' /C calc'!A0", "@SUM(1)", "Negative prompt: ", "Steps: ", "Steps: x, Size: 9x",
)  # fmt: skip

NASTY_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 0.5, -0.0, 1e308, -1e308, 5e-324,
    float("nan"), float("inf"), float("-inf"), [], {}, [[]], [None], [{}], {"": None}, {"a": {"b": {"c": []}}},
    [1, "a"],
    ["x"] * 300, {"version": 99}, {"version": "1"}, {"version": 10**30}, {"kind": "float", "low": 1, "high": 0},
)  # fmt: skip


def spoilt_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return `data` with up to four changes: bits, pieces cut, doubled, moved or overwritten with numbers that hurt."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        found = rng.choice(_BYTES)(found, rng)
    return bytes(found[:4_000_000])


def _flipped(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 8)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randint(0, len(data))]


def _without(data: bytearray, rng: random.Random) -> bytearray:
    at, count = rng.randint(0, len(data)), rng.randint(1, 64)
    return data[:at] + data[at + count :]


def _doubled(data: bytearray, rng: random.Random) -> bytearray:
    at, count = rng.randint(0, len(data)), rng.randint(1, 400)
    return data[:at] + data[at : at + count] * rng.randint(2, 20) + data[at:]


def _longer(data: bytearray, rng: random.Random) -> bytearray:
    return data + rng.randbytes(rng.randint(1, 300))


_NUMBERS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff" * 8, b"\0" * 8, b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f")


def _overwritten(data: bytearray, rng: random.Random) -> bytearray:
    piece = rng.choice((*_NUMBERS, rng.randbytes(rng.randint(1, 16))))
    at = rng.choice((0, 4, 8, rng.randint(0, len(data))))
    data[at : at + len(piece)] = piece
    return data


def _with_text(data: bytearray, rng: random.Random) -> bytearray:
    at = rng.randint(0, len(data))
    data[at:at] = rng.choice(NASTY_TEXTS).encode("utf-8", "surrogatepass")
    return data


_BYTES: Sequence[Callable[[bytearray, random.Random], bytearray]] = (
    _flipped, _cut, _without, _doubled, _longer, _overwritten, _with_text,
)  # fmt: skip


def spoilt_text(text: str, rng: random.Random) -> str:
    """Return `text` with up to four changes: characters and pieces cut, doubled, swapped, or nasty ones put in."""
    for _ in range(rng.randint(1, 4)):
        at, count = rng.randint(0, len(text)), rng.choice((1, 1, 2, 5, 20))
        way = rng.randrange(7)
        if way == 0:
            text = text[:at] + text[at + count :]
        elif way == 1:
            text = text[:at] + text[at : at + count] * rng.choice((2, 3, 50)) + text[at:]
        elif way == 2:
            text = text[:at] + rng.choice(NASTY_TEXTS) + text[at:]
        elif way == 3:
            text = text[:at] + rng.choice(NASTY_TEXTS) + text[at + count :]
        elif way == 4:
            text = text[:at] + chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x110000)))) + text[at + 1 :]
        elif way == 5:
            lines = text.split("\n")
            rng.shuffle(lines)
            text = "\n".join(lines)
        else:
            text = text[:at]
    return text[:200_000]


def spoilt_json(data: Any, rng: random.Random) -> Any:
    """Return a copy of JSON data with up to three places changed: a value of another kind, a name gone or new."""
    found = copy.deepcopy(data)
    for _ in range(rng.randint(1, 3)):
        holder: list[Any] = [found]
        place: tuple[Any, Any] = (holder, 0)
        at = found
        while isinstance(at, dict | list) and at and rng.random() < 0.85:
            key = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
            place, at = (at, key), at[key]
        _change(*place, rng)
        found = holder[0]
    return found


def _change(holder: Any, key: Any, rng: random.Random) -> None:
    way = rng.randrange(10)
    value = holder[key]
    if way == 0 and isinstance(holder, dict):
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[rng.choice(NASTY_TEXTS)] = holder.pop(key)
    elif way == 2 and isinstance(value, list):
        holder[key] = value * rng.choice((0, 2, 30))
    elif way == 3:
        holder[key] = [value]
    elif way == 4:
        holder[key] = {"x": value}
    elif way == 5:
        holder[key] = deep(rng.choice((5, 50, 400)))
    elif way == 6 and isinstance(value, str):
        holder[key] = spoilt_text(value, rng)
    elif way == 7:
        holder[key] = json.dumps(value)[:2000] if rng.random() < 0.5 else str(value)[:2000]
    else:
        holder[key] = copy.deepcopy(rng.choice((*NASTY_VALUES, *NASTY_TEXTS)))


def deep(depth: int) -> Any:
    """Return lists in lists."""
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found
