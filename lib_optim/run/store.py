"""``run.db``: the only record of a run. SQLite in WAL mode; every call is one committed transaction."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib_optim.plan.errors import StoreError
from lib_optim.plan.judging import Comparison
from lib_optim.plan.records import ImageRecord, Score, Trial
from lib_optim.run import footprint
from lib_optim.run.comparison_rows import COMPARISONS, comparison_of, row_of
from lib_optim.run.rows import json_of, trial_of

__all__ = ["Store"]

SCHEMA_VERSION = 1
PATIENCE = 10.0
"""Seconds to wait for another program that is writing."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE passes (id INTEGER PRIMARY KEY, created REAL NOT NULL, plan TEXT NOT NULL);
CREATE TABLE trials (
    number INTEGER PRIMARY KEY, pass INTEGER NOT NULL REFERENCES passes(id), state TEXT NOT NULL,
    "values" TEXT NOT NULL, origin TEXT NOT NULL, recipe TEXT NOT NULL, value REAL, reason TEXT NOT NULL,
    seconds TEXT NOT NULL, started REAL NOT NULL, finished REAL);
CREATE TABLE images (
    trial INTEGER NOT NULL REFERENCES trials(number), "index" INTEGER NOT NULL, payload TEXT NOT NULL,
    seed INTEGER NOT NULL, file TEXT NOT NULL, infotext TEXT NOT NULL, pixels TEXT NOT NULL,
    seconds REAL NOT NULL, skipped INTEGER NOT NULL, PRIMARY KEY (trial, "index"));
CREATE TABLE scores (
    id INTEGER PRIMARY KEY, trial INTEGER NOT NULL, image INTEGER NOT NULL, scorer TEXT NOT NULL,
    raw REAL NOT NULL, request TEXT NOT NULL, removed INTEGER NOT NULL, created REAL NOT NULL);
CREATE UNIQUE INDEX scores_request ON scores (request) WHERE request <> '';
CREATE INDEX scores_image ON scores (trial, image);
"""
_LATER = {
    "verdicts": "CREATE TABLE verdicts (id INTEGER PRIMARY KEY, created REAL NOT NULL, verdict TEXT NOT NULL)",
    "comparisons": COMPARISONS,
    "footprints": footprint.FOOTPRINTS,
}
"""What databases of Optim 0.1.0 lack; that version reads a database with them all the same."""


class Store:
    """The database of one run. Thread-safe; writes are serialised, and done when the call returns.

    Args:
        path: ``run.db``; made if absent.

    Raises:
        StoreError: Not a database of Optim, from a newer Optim, damaged, or not writable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.RLock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=PATIENCE)
            tables = self._known_tables()  # before anything is written: what is not ours stays as it is
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._open(tables)
        except (sqlite3.Error, ValueError) as error:  # the second: names in it that are no text
            raise StoreError(f"The database {path.name} of {path.parent.name} cannot be opened: {error}.") from error

    def _known_tables(self) -> set[str]:
        """Return the names of the tables; none of a new database. Writes nothing.

        Raises:
            StoreError: It is no database of ours, or of another version.
        """
        tables = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if not tables:
            return tables
        if "meta" not in tables:
            raise StoreError(f"{self._path} is not a database of Optim.")
        (version,) = self._db.execute("SELECT value FROM meta WHERE key='schema'").fetchone() or ("",)
        if version != str(SCHEMA_VERSION):
            raise StoreError(
                f"{self._path.parent.name} was written by another version of Optim (database {version or 'unknown'}, "
                f"this one reads {SCHEMA_VERSION}); update the extension to open it."
            )
        return tables

    def _open(self, tables: set[str]) -> None:
        if not tables:
            with self._transaction():
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                for statement in _LATER.values():
                    self._db.execute(statement)
                self._db.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))
            return
        if missing := [statement for name, statement in _LATER.items() if name not in tables]:
            with self._transaction():
                for statement in missing:
                    self._db.execute(statement)

    def close(self) -> None:
        """Close the database. Idempotent."""
        with self._guard:
            self._db.close()

    def add_pass(self, plan: str) -> int:
        """Record a pass with its plan as JSON text; return its id."""
        with self._transaction() as db:
            cursor = db.execute("INSERT INTO passes (created, plan) VALUES (?, ?)", (time.time(), plan))
            return int(cursor.lastrowid or 0)

    def last_pass(self) -> int | None:
        """Return the id of the latest pass, or None."""
        row = self._one("SELECT max(id) FROM passes")
        return None if row is None or row[0] is None else int(row[0])

    def passes(self) -> list[tuple[int, str]]:
        """Return id and JSON text of every pass, in the order in which they began."""
        found = self._all("SELECT id, plan FROM passes WHERE id IS NOT NULL ORDER BY id")  # damage can make one empty
        rows = [(int(row[0]), str(row[1])) for row in found]
        for number, text in rows[1:]:  # the first pass is the plan's
            json_of(text, f"pass {number}")
        return rows

    def put_pass(self, pass_id: int, plan: str) -> None:
        """Replace the JSON text of a pass."""
        with self._transaction() as db:
            db.execute("UPDATE passes SET plan=? WHERE id=?", (plan, pass_id))

    def set_note(self, key: str, value: str) -> None:
        """Keep a word about the run as a whole; `key` must not be ``schema``."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def note(self, key: str) -> str:
        """Return what `set_note` kept, or an empty string."""
        rows = self._all("SELECT value FROM meta WHERE key=?", (key,))
        return str(rows[0][0]) if rows else ""

    def put_trial(self, trial: Trial) -> None:
        """Insert or replace the record of a trial."""
        row = (
            trial.number, trial.pass_id, trial.state, json.dumps(dict(trial.values)), trial.origin, trial.recipe,
            trial.value, trial.reason, json.dumps(dict(trial.seconds)), trial.started, trial.finished,
        )  # fmt: skip
        with self._transaction() as db:
            db.execute(
                "INSERT INTO trials VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(number) DO UPDATE SET "
                'state=excluded.state, "values"=excluded."values", origin=excluded.origin, recipe=excluded.recipe, '
                "value=excluded.value, reason=excluded.reason, seconds=excluded.seconds, "
                "started=excluded.started, finished=excluded.finished",
                row,
            )

    def put_entered(self, trial: Trial, images: Sequence[ImageRecord], scores: Sequence[Score]) -> None:
        """Insert a trial whose images are there already, all at once: it is there whole or not at all."""
        with self._transaction():
            self.put_trial(trial)
            for image in images:
                self.put_image(image)
            for score in scores:
                self._replace_score(score, insert=True)

    def trials(self) -> list[Trial]:
        """Return all trials, by number."""
        columns = 'number, state, "values", origin, recipe, value, reason, seconds, started, finished, pass'
        rows = self._all(f"SELECT {columns} FROM trials ORDER BY number")
        return [trial_of(row) for row in rows]

    def put_image(self, image: ImageRecord) -> None:
        """Insert or replace the record of an image."""
        row = (
            image.trial, image.index, image.payload, image.seed, image.file, image.infotext, image.pixels,
            image.seconds, int(image.skipped),
        )  # fmt: skip
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO images VALUES (?,?,?,?,?,?,?,?,?)", row)

    def images(self, trial: int | None = None) -> list[ImageRecord]:
        """Return the images of `trial` (of all trials if None), by trial and index."""
        where, arguments = ("", ()) if trial is None else ("WHERE trial=?", (trial,))
        rows = self._all(f'SELECT * FROM images {where} ORDER BY trial, "index"', arguments)
        return [ImageRecord(*row) for row in ((*r[:8], bool(r[8])) for r in rows)]

    def put_memory(self, trial: int, memory: Mapping[str, float]) -> None:
        """Keep what memory was in use when the images of `trial` were made (`lib_optim.run.footprint`)."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO footprints VALUES (?,?,?)", footprint.row_of(trial, memory))

    def memory(self) -> dict[int, dict[str, float]]:
        """Return what `put_memory` kept, by trial; what is not known of a trial is left out."""
        rows = self._all("SELECT trial, ram, vram FROM footprints ORDER BY trial")
        return {row[0]: {k: v for k, v in zip(("ram", "vram"), row[1:], strict=True) if v is not None} for row in rows}

    def images_made(self) -> dict[int, int]:
        """Return how many images each trial has that were not skipped."""
        return {int(n): int(k) for n, k in self._all("SELECT trial, sum(1 - skipped) FROM images GROUP BY trial")}

    def add_verdict(self, verdict: str) -> None:
        """Append the outcome of a verification as JSON text."""
        with self._transaction() as db:
            db.execute("INSERT INTO verdicts (created, verdict) VALUES (?, ?)", (time.time(), verdict))

    def verdicts(self) -> list[str]:
        """Return the outcomes of all verifications as JSON text, oldest first."""
        return [str(row[0]) for row in self._all("SELECT verdict FROM verdicts ORDER BY id")]

    def add_score(self, score: Score) -> bool:
        """Append a score; one of the same scorer for the same image is marked removed first.

        Returns:
            False if a score with this request id is already there (nothing is changed).
        """
        return self._replace_score(score, insert=True)

    def remove_score(self, score: Score) -> bool:
        """Mark the scores of this scorer for this image removed; the request id is kept, as for `add_score`."""
        return self._replace_score(score, insert=False)

    def _replace_score(self, score: Score, insert: bool) -> bool:
        with self._transaction() as db:
            if score.request and db.execute("SELECT 1 FROM scores WHERE request=?", (score.request,)).fetchone():
                return False
            db.execute(
                "UPDATE scores SET removed=1 WHERE trial=? AND image=? AND scorer=?",
                (score.trial, score.image, score.scorer),
            )
            row = (
                score.trial, score.image, score.scorer, score.raw, score.request, int(not insert),
                score.created or time.time(),
            )  # fmt: skip
            db.execute(
                "INSERT INTO scores (trial, image, scorer, raw, request, removed, created) VALUES (?,?,?,?,?,?,?)", row
            )
            return True

    def scores(self, trial: int | None = None, removed: bool = False) -> list[Score]:
        """Return the scores of `trial` (of all if None), oldest first; removed ones only if asked for."""
        conditions = (["trial=?"] if trial is not None else []) + ([] if removed else ["removed=0"])
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        arguments = () if trial is None else (trial,)
        rows = self._all(
            f"SELECT trial, image, scorer, raw, request, removed, created FROM scores {where} ORDER BY id",
            arguments,
        )
        return [Score(*row) for row in ((*r[:5], bool(r[5]), r[6]) for r in rows)]

    def add_comparison(self, comparison: Comparison) -> bool:
        """Append a comparison; return False if one with this request id is already there (nothing is changed)."""
        names, values = zip(*row_of(comparison).items(), strict=True)
        with self._transaction() as db:
            places = ",".join("?" * len(names))
            made = db.execute(f"INSERT OR IGNORE INTO comparisons ({','.join(names)}) VALUES ({places})", values)
            return made.rowcount == 1

    def comparisons(self) -> list[Comparison]:
        """Return all comparisons, those that were undone among them, oldest first."""
        columns = ",".join(row_of(Comparison(0)))
        return [comparison_of(row) for row in self._all(f"SELECT {columns} FROM comparisons ORDER BY id")]

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Make all writes inside one transaction: they are there all or not at all."""
        with self._transaction():
            yield

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            inside = self._db.in_transaction
            if inside:  # ours, for nobody else has the guard: a part of something larger
                yield self._db
                return
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                locked = "locked" in str(error)
                why = "another program holds it; close that, and resume the run." if locked else "is the disk full?"
                raise StoreError(f"The run's database cannot be written: {error}; {why}") from error

    def _all(self, query: str, arguments: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._guard:
            try:
                return self._db.execute(query, arguments).fetchall()
            except (sqlite3.Error, ValueError) as error:
                raise StoreError(f"The run's database cannot be read: {error}.") from error

    def _one(self, query: str) -> tuple[Any, ...] | None:
        rows = self._all(query)
        return rows[0] if rows else None
