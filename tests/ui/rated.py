"""A run folder with images that were rated, without a run: its plan is there, database and images are made here."""

from __future__ import annotations

from lib_optim.plan.records import ImageRecord, Score, Trial
from lib_optim.run.folder import RunFolder
from lib_optim.run.passes import Passes
from lib_optim.run.results import write_image
from lib_optim.run.store import Store
from tests.scoring.pictures import scene

__all__ = ["rate_folder"]


def rate_folder(folder: RunFolder, images: int, left: int = 0) -> None:
    """Record trials of one image each: `images` rated by number, and `left` more that were left to the judges."""
    store = Store(folder.database)
    run_pass = Passes(folder.read_plan(), store).current
    for number in range(images + left):
        store.put_trial(Trial(number, "complete", {"x": 0.5}, "sampler: random", value=5.0, pass_id=run_pass.id))
        file = f"images/{number:05d}-000-rated.png"
        write_image(folder, file, scene(64, 64, seed=number), "")
        store.put_image(ImageRecord(number, 0, run_pass.jobs[0].payload.name, number, file, "", ""))
        scorer, raw = ("manual", float(number % 11)) if number < images else ("mark: unrated", 1.0)
        store.add_score(Score(number, 0, scorer, raw, created=1_700_000_000.0 + number))
    store.close()
