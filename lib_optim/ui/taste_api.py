"""Learn my taste, and ratings as a file: what the page asks, as JSON.

GET  /optim/api/taste?folder=            ratings of a run, saved tastes, a training under way; runs=1: other rated runs
POST /optim/api/taste {folders, way}     learn from the ratings of these runs, on a thread of its own; one at a time
POST /optim/api/taste_save {name}        save what was learned last
GET  /optim/api/ratings?folder=&format=  all ratings of a run as a file, ``csv`` or ``json``
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import Response

from lib_optim.plan.errors import OptimError, RunError
from lib_optim.plan.scorers import MANUAL
from lib_optim.run.folder import RunFolder, list_runs
from lib_optim.run.ratings import FORMATS, count_rated, ratings_of, ratings_text
from lib_optim.scoring.taste_model import LEAST
from lib_optim.ui.http import Call, Refused

if TYPE_CHECKING:
    from lib_optim.run.manager import RunManager
    from lib_optim.run.taste_training import Trained

__all__ = ["TasteApi"]

_MOST_RUNS = 30  # that are looked through for ratings, the newest ones
_MEDIA = {"csv": "text/csv", "json": "application/json"}
_log = logging.getLogger(__name__)


class TasteApi:
    """The routes, and the one training that may go on.

    Args:
        manager: The run manager.
    """

    def __init__(self, manager: RunManager) -> None:
        self._manager = manager
        self._guard = threading.Lock()
        self._job: dict[str, Any] = {"state": "idle"}
        self._trained: Trained | None = None

    def state(self, call: Call) -> dict[str, Any]:
        """Return all that the card shows."""
        from lib_optim.scoring.embeddings import WAYS, best_way, embedding_problem

        models, name = self._manager.scorers_dir, call.query.get("folder", "")
        rated, left = _counts(RunFolder.open(self._manager.outputs, name)) if name else (0, 0)
        with self._guard:
            job = dict(self._job)
        return {
            "least": LEAST,
            "rated": rated,
            "left": left,
            "tastes": _saved(models),
            "ways": [
                {"id": way, "title": title, "problem": embedding_problem(way, models)} for way, title in WAYS.items()
            ],
            "way": best_way(models),
            "job": job,
            "runs": self._rated_runs(name) if call.query.get("runs") == "1" else None,
        }

    def train(self, call: Call) -> dict[str, Any]:
        """Begin to learn; the state tells what comes of it."""
        names, way = call.body.get("folders"), call.body.get("way") or ""
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise Refused(400, "'folders' must be a list of runs.")
        if not isinstance(way, str):
            raise Refused(400, "'way' must be a text.")
        folders = [RunFolder.open(self._manager.outputs, name) for name in dict.fromkeys(names)]
        with self._guard:
            if self._job["state"] != "running":
                self._job = {"state": "running", "done": 0, "total": 0}
                threading.Thread(target=self._work, args=(folders, way), name="optim taste", daemon=True).start()
            return dict(self._job)

    def save(self, call: Call) -> dict[str, Any]:
        """Save what was learned last, under a name that is not taken."""
        from lib_optim.scoring.taste_file import taste_path, write_taste

        name = call.body.get("name")
        if not isinstance(name, str):
            raise Refused(400, "'name' must be a text.")
        with self._guard:
            if self._trained is None:
                raise RunError("Nothing was learned since the program began; train first.")
            path = taste_path(name, self._manager.scorers_dir)
            if path.exists():  # a run may refer to it, and its scores would no longer be of one judge
                raise RunError(
                    f"A taste called {path.stem} is saved already, and runs may use it; choose another name."
                )
            write_taste(self._trained.taste, path)
        return {"name": path.stem, "path": str(path)}

    def ratings(self, call: Call) -> Response:
        """Return the ratings of a run as a file."""
        kind = call.query.get("format", "csv")
        if kind not in FORMATS:
            raise Refused(400, f"'format' must be one of {', '.join(FORMATS)}.")
        folder = RunFolder.open(self._manager.outputs, call.query.get("folder", ""))
        name = quote(f"{folder.name}-ratings.{kind}")
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(ratings_text(ratings_of(folder), kind), media_type=_MEDIA[kind], headers=headers)

    def _work(self, folders: Sequence[RunFolder], way: str) -> None:
        from lib_optim.run.taste_training import train_taste

        try:
            trained = train_taste(folders, self._manager.scorers_dir, way, self._at)
            job = {"state": "done", "gone": trained.gone, **trained.taste.to_json()}
        except OptimError as error:
            trained, job = None, {"state": "failed", "text": str(error)}
        except Exception:  # noqa: BLE001 (the page must learn that it ended)
            _log.exception("Learning a taste ended early")
            trained, job = None, {"state": "failed", "text": "Learning ended early; the trace is in the program's log."}
        with self._guard:
            self._trained = trained or self._trained
            self._job = job

    def _at(self, done: int, total: int) -> None:
        with self._guard:
            self._job = {"state": "running", "done": done, "total": total}

    def _rated_runs(self, but: str) -> list[dict[str, Any]]:
        found = []
        for folder in list_runs(self._manager.outputs)[:_MOST_RUNS]:
            with contextlib.suppress(OptimError):
                if folder.name != but and (count := _count(folder)):
                    found.append({"folder": folder.name, "rated": count})
        return found


def _counts(folder: RunFolder) -> tuple[int, int]:
    """Return how many images have a rating, and how many have none because they were left to the judges."""
    ratings = ratings_of(folder)
    rated = {(rating.trial, rating.image) for rating in ratings if rating.value is not None}
    left = {(rating.trial, rating.image) for rating in ratings if rating.value is None and "unrated" in rating.marks}
    return len(rated), len(left)


def _count(folder: RunFolder) -> int:
    plan = folder.read_plan()
    specs = [*plan.scorers, *(spec for later in plan.passes for spec in later.scorers or ())]
    if not any(spec.id == MANUAL for spec in specs) or not folder.database.is_file():
        return 0
    return count_rated(folder)


def _saved(models: Path) -> list[dict[str, Any]]:
    from lib_optim.scoring.taste_file import read_taste, saved_tastes

    found = []
    for name, path in saved_tastes(models):
        try:
            found.append({"name": name, "problem": "", **read_taste(path).to_json()})
        except OptimError as error:
            found.append({"name": name, "problem": str(error)})
    return found
