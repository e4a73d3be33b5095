"""Documents and files spoilt in ways of their own: where they hurt, and the rest still fits."""

from __future__ import annotations

import contextlib
import io
import json
import random
import sqlite3
import struct
import zipfile

from tests.fuzz.mutate import NASTY_TEXTS, spoilt_bytes, spoilt_json, spoilt_text

__all__ = [
    "spoilt_database", "spoilt_document", "spoilt_json_bytes", "spoilt_recipe", "spoilt_safetensors", "spoilt_zip",
]  # fmt: skip


def spoilt_document(text: str, rng: random.Random) -> str:
    """As `spoilt_text`; texts in YAML and the like are also spoilt as bytes that were read anyhow."""
    if rng.random() < 0.2:
        return spoilt_bytes(text.encode(), rng).decode("utf-8", "replace")
    return spoilt_text(text, rng)


def spoilt_json_bytes(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return spoilt_bytes(data, rng)
    return json.dumps(spoilt_json(json.loads(data), rng), ensure_ascii=rng.random() < 0.5).encode(
        "utf-8", "surrogatepass"
    )


def spoilt_recipe(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    if rng.random() < 0.5 and len(lines) > 3:
        at, other = rng.randrange(1, len(lines)), rng.randrange(1, len(lines))
        lines[at] = rng.choice((lines[other], f"{lines[at]} &{rng.randint(-2, len(lines) + 3)}", ""))
        return "\n".join(lines * rng.choice((1, 1, 1, 50)))
    return spoilt_text(text, rng)


def spoilt_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Spoil the JSON of the header, with a length that fits, or the bytes of the file."""
    if data[:2] == b"PK" or rng.random() < 0.4:
        return spoilt_bytes(data, rng)
    (length,) = struct.unpack("<Q", data[:8])
    header = json.dumps(spoilt_json(json.loads(data[8 : 8 + length]), rng)).encode()
    said = len(header) if rng.random() < 0.9 else rng.choice((0, 2**63, 2**64 - 1, len(header) + 1, 10**8))
    return struct.pack("<Q", said) + header + data[8 + length :]


_MEMBERS = ("../../evil.txt", "/etc/evil", "C:\\evil", "..\\evil", "x/plan.json", "x/images/../../e.png",
    "x/images/NUL.png",
            "x/images/a:b.png", "x/run.db-wal", "x/log.txt", "a/b/c/plan.json",
            "x/images/e.svg", "CON/plan.json")  # fmt: skip


def spoilt_zip(data: bytes, rng: random.Random) -> bytes:
    """Spoil the bytes, or write the archive anew with other names, contents, symbolic links and sizes."""
    if rng.random() < 0.4:
        return spoilt_bytes(data, rng)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        names = source.namelist()
        chosen = rng.choice(names)
        for name in names:
            content, info = source.read(name), zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if name == chosen:
                way = rng.randrange(6)
                content = spoilt_bytes(content, rng) if way in (0, 1) else content
                content = b"\0" * 30_000_000 if way == 2 and rng.random() < 0.05 else content
                info.filename = rng.choice((*_MEMBERS, *NASTY_TEXTS))[:500] if way == 3 else name
                info.external_attr = 0o120777 << 16 if way == 4 else 0
                if way == 5:
                    continue
            with contextlib.suppress(UnicodeEncodeError, ValueError):
                packed.writestr(info, content)
        if rng.random() < 0.3:
            packed.writestr(rng.choice(_MEMBERS), b"x")
    found = bytearray(target.getvalue())
    if rng.random() < 0.2:  # the sizes in the directory
        at = found.rfind(b"PK\x01\x02")
        found[at + 20 : at + 28] = struct.pack("<II", rng.getrandbits(32), rng.choice((0, 1, 2**32 - 1)))
    return bytes(found)


_SQL = (
    'UPDATE trials SET "values"=?', "UPDATE trials SET seconds=?", "UPDATE trials SET state=?",
    "UPDATE trials SET value=?",
    "UPDATE trials SET started=?", "UPDATE passes SET plan=?", "UPDATE images SET file=?", "UPDATE images SET seed=?",
    "UPDATE images SET infotext=?", "UPDATE scores SET raw=?", "UPDATE scores SET scorer=?", "UPDATE meta SET value=?",
    "INSERT INTO verdicts (created, verdict) VALUES (1, ?)", "UPDATE trials SET pass=?", "UPDATE trials SET reason=?",
)  # fmt: skip


def spoilt_database(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return spoilt_bytes(data, rng)
    db = sqlite3.connect(":memory:")
    db.deserialize(data.replace(b"\x02\x02", b"\x01\x01", 1) if data[18:20] == b"\x02\x02" else data)
    value = rng.choice((None, 0, -1, 2**62, 1e308, float("inf"), b"\xff\x00", "", *NASTY_TEXTS))
    value = value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    try:
        db.execute(rng.choice(_SQL), (value,))
        db.commit()
    except sqlite3.Error:
        return spoilt_bytes(data, rng)
    return db.serialize()
