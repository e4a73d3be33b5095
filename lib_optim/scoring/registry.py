"""The scorers, as rows of data: the tab, the plan check, the docs and the combination all read these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_optim.plan.errors import PlanError, Problem, ScorerError
from lib_optim.plan.judging import WAYS
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.scorers import MANUAL
from lib_optim.scoring import demo, imagereward, resembling, technical
from lib_optim.scoring.base import OptionRow, Scorer, ScorerRow
from lib_optim.scoring.clip.rows import CLIP_ROWS
from lib_optim.scoring.judges import JUDGES
from lib_optim.scoring.taste import TASTE_ROW
from lib_optim.scoring.user_scorers import USER_PREFIX, user_scorer_files

__all__ = ["scorer_row", "scorer_rows"]

_MB = 10**6


def scorer_rows() -> tuple[ScorerRow, ...]:
    """Return all scorers, in the order in which they are shown: ours, then the user's own that can be used."""
    return _ROWS + tuple(file.row for file in user_scorer_files() if file.row is not None)


def scorer_row(scorer: str) -> ScorerRow:
    """Return the row of the scorer with the id `scorer`.

    Raises:
        PlanError: There is none, and the nearest; or it is the user's own and broken, and why.
    """
    rows = scorer_rows()
    for row in rows:
        if row.id == scorer:
            return row
    problem = next((file.problem for file in user_scorer_files() if file.id == scorer), "")
    if not problem and scorer.startswith(USER_PREFIX):
        problem = (
            f"The scorer '{scorer}' is a file {scorer.removeprefix(USER_PREFIX)}.py of your own, which is not in the "
            "folder of your scorers; put it there."
        )
    if problem:
        raise PlanError([Problem("scorers", problem)])
    ids = [row.id for row in rows]
    sentence = f"'{scorer}' is not a scorer; there are {', '.join(ids)}.{did_you_mean(scorer, ids)}"
    raise PlanError([Problem("scorers", sentence)])


def _no_build(options: Mapping[str, Any], models_dir: Any) -> Scorer:
    del options, models_dir
    raise ScorerError("Scores of 'manual' come from the user's clicks; there is nothing to build.")


_FOLDER = OptionRow("folder", "Folder with the weight files (empty: the scorers' models folder)", "path", "")
_DOWNLOAD = OptionRow("download", "Download missing weights", "bool", False)

_ROWS: tuple[ScorerRow, ...] = (
    ScorerRow(
        id="imagereward",
        title="ImageReward",
        measures="What people prefer among pictures of the same prompt: fidelity to it, then looks.",
        fooled_by="Tag lists (it reads 33 word pieces, written as sentences), saturated colours, big centred subjects.",
        reads_prompt=True,
        typical=(-2.0, 1.5),
        raw_range="about −2.3 … 2",
        licence="Apache-2.0 (THUDM/ImageReward); vocabulary Apache-2.0 (google-bert/bert-base-uncased)",
        memory=1_790 * _MB,
        weights=(imagereward.WEIGHTS, imagereward.VOCABULARY),
        packages=(),
        options=(_FOLDER, _DOWNLOAD),
        build=imagereward.build,
        check=imagereward.check,
    ),
    *CLIP_ROWS,
    ScorerRow(
        id="technical",
        title="Technical quality",
        measures="Sharp, clean, well exposed, with contrast, without garish colour or seams; 0 for a blank picture.",
        fooled_by="Any sharp picture, whatever it shows; soft styles, fine texture and frames lose, bokeh does not.",
        reads_prompt=False,
        typical=(0.3, 0.9),
        raw_range="0 … 1; a blank picture is exactly 0",
        licence="none needed (no weights)",
        memory=0,
        weights=(),
        packages=(),
        options=(),
        build=technical.build,
        devices=("cpu",),
    ),
    ScorerRow(
        id="similarity",
        title="Similarity to a reference",
        measures="Likeness to a reference picture: pixel by pixel, by simple features, or as a network sees it.",
        fooled_by="Pixel by pixel it knows nothing of content: a shifted or mirrored copy counts as different.",
        reads_prompt=False,
        typical=(0.2, 1.0),
        raw_range="−0.5 … 1; 1 is equal, about 0.3 unrelated pixel by pixel",
        licence="none needed (no weights)",
        memory=0,
        weights=(),
        packages=(),
        options=(
            OptionRow("reference", "Reference image, or a folder of <payload>-<seed>.png", "image", "", required=True),
            OptionRow("by", "How to tell", "choice", resembling.PIXELS, choices=resembling.WAYS_AND_PIXELS),
            OptionRow("folder", "Folder with the weights for embedding or lpips", "path", ""),
        ),
        build=resembling.build,
        check=resembling.check,
    ),
    *JUDGES,
    ScorerRow(
        id="demo",
        title="Demo: shapes and colours",
        measures="Whether a picture of the demo checkpoints shows the thing, colour, place, time and style it should.",
        fooled_by="Everything but the demo payloads: it knows their words and their drawn pictures, and nothing else.",
        reads_prompt=True,
        typical=(0.2, 1.0),
        raw_range="0 … 1",
        licence="MIT (our own, tools/demo_pair)",
        memory=0,
        weights=(),
        packages=(),
        options=(),
        build=demo.build,
        check=demo.check,
    ),
    TASTE_ROW,
    ScorerRow(
        id=MANUAL,
        title="My own eyes (0 to 10)",
        measures="What you like: a number from 0 to 10 per image, the better one of two, or best and worst of a grid.",
        fooled_by="Tiredness, and a scale that drifts while you score.",
        reads_prompt=False,
        typical=(0.0, 10.0),
        raw_range="0 … 10",
        licence="none needed (no weights)",
        memory=0,
        weights=(),
        packages=(),
        options=(
            OptionRow("way", "How you judge", "choice", "rate", choices=WAYS),
            OptionRow("comparisons", "Comparisons per trial (2 of pairs, 1 of a grid)", "number"),
            OptionRow("pictures", "Pictures of a grid", "number", 4),
        ),
        build=_no_build,
        devices=("cpu",),
        manual=True,
    ),
)
