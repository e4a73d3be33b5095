"""What the rows of the CLIPs that judge picture and prompt with one published file have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.scoring.base import OptionRow, OptionsCheck, WeightFile
from lib_optim.scoring.clip.sources import DOWNLOAD, FOLDER, ClipSource, chosen_file, file_problems
from lib_optim.scoring.weights import weights_folder

if TYPE_CHECKING:
    from lib_optim.scoring.clip.scorer import PairScorer

__all__ = ["PAIR_OPTIONS", "pair_build", "pair_check"]

PAIR_OPTIONS = (OptionRow("weights", "File with its weights (empty: the published one)", "path", ""), FOLDER, DOWNLOAD)
Make = Callable[[ClipSource], "PairScorer"]


def pair_build(scorer: str, model: str, file: WeightFile, make: Make) -> Callable[[Mapping[str, Any], Any], PairScorer]:
    """Return the `build` of a row, whose options are `PAIR_OPTIONS`.

    Args:
        scorer: Its id, and its folder among the models.
        model: open_clip's name of the architecture.
        file: The published weights.
        make: Makes the scorer; networks are imported in it, because a WebUI's start reads all rows.
    """

    def build(options: Mapping[str, Any], models_dir: Any) -> PairScorer:
        folder = weights_folder(scorer, options, Path(models_dir))
        chosen = chosen_file("weights", options, file)
        return make(ClipSource(model, chosen, folder, bool(options.get("download", False))))

    return build


def pair_check(scorer: str, title: str, file: WeightFile) -> OptionsCheck:
    """Return the `check` of a row: which file is missing."""

    def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[Any]) -> list[tuple[str, str]]:
        del jobs
        return file_problems(title, {"weights": (file, scorer)}, options, models_dir)

    return check
