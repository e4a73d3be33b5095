"""What the rows of all heads have in common: two files, the head's own and the CLIP below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.scoring.base import OptionRow, OptionsCheck, WeightFile
from lib_optim.scoring.clip.sources import DOWNLOAD, FOLDER, ClipSource, Published, chosen_file, file_problems
from lib_optim.scoring.weights import weights_folder

if TYPE_CHECKING:
    from lib_optim.scoring.clip.scorer import HeadScorer

__all__ = ["CLIP_FOLDER", "HEAD_OPTIONS", "head_build", "head_check"]

CLIP_FOLDER = "clip"
HEAD_OPTIONS = (
    OptionRow("weights", "File with the head's weights (empty: the published one)", "path", ""),
    OptionRow("backbone", "File with the CLIP below it (empty: the published one)", "path", ""),
    FOLDER,
    DOWNLOAD,
)
Choose = Callable[[Mapping[str, Any]], tuple[WeightFile, Published]]
"""From the options to the published head and the published CLIP that it stands on."""


def head_build(
    scorer: str, title: str, kind: str, choose: Choose, safe: str
) -> Callable[[Mapping[str, Any], Any], HeadScorer]:
    """Return the `build` of a row; its options are `HEAD_OPTIONS` and what `choose` reads.

    Args:
        scorer: Its id, and the folder of its head among the models.
        title: As shown.
        kind: Name of its `HeadKind` in `heads`; these are read when first wanted, while a WebUI's start reads all rows.
        choose: See `Choose`. Raises ScorerError.
        safe: Which file to take if a pickle is given.
    """

    def build(options: Mapping[str, Any], models_dir: Any) -> HeadScorer:
        from lib_optim.scoring.clip import heads
        from lib_optim.scoring.clip.scorer import HeadFile, HeadScorer

        head, clip = choose(options)
        download = bool(options.get("download", False))
        source = ClipSource(
            clip.model,
            chosen_file("backbone", options, clip.file),
            weights_folder(CLIP_FOLDER, options, Path(models_dir)),
            download,
        )
        folder = weights_folder(scorer, options, Path(models_dir))
        return HeadScorer(
            title, source, getattr(heads, kind), HeadFile(chosen_file("weights", options, head), folder, download, safe)
        )

    return build


def head_check(scorer: str, title: str, choose: Choose) -> OptionsCheck:
    """Return the `check` of a row: which of the two files is missing."""

    def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[Any]) -> list[tuple[str, str]]:
        del jobs
        head, clip = choose(options)
        wanted = {"weights": (head, scorer), "backbone": (clip.file, CLIP_FOLDER)}
        return file_problems(title, wanted, options, models_dir)

    return check
