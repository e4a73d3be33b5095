"""Image classifiers as judges: the probability of one class, or a guard against it.

Cafe aesthetic (BEiT) and aesthetic-shadow-v2 (ViT) are folders with ``config.json``, ``preprocessor_config.json`` and
weights, as model hubs have them (`vit_files`); so is any other ViT or BEiT classifier, which the guard needs one of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.nearest import did_you_mean
from lib_optim.scoring.base import ImageContext, OptionsCheck, Progress, Scorer, image_label
from lib_optim.scoring.vit_files import load_network, missing_files, read_preparation
from lib_optim.scoring.weights import weights_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from lib_optim.scoring.vit import VisionTransformer
    from lib_optim.scoring.vit_files import Preparation

__all__ = ["ClassifierScorer", "builder", "checker"]


class ClassifierScorer:
    """See the module.

    Args:
        title: For messages.
        folder: With the three files.
        source: Where they can be had, for messages; empty if that is the user's affair.
        label: The class whose probability counts.
        limit: None: that probability is the score. Else the class is unwanted: the score is 1 minus its probability,
            and an image that reaches the limit fails its trial.
    """

    def __init__(self, title: str, folder: Path, source: str, label: str, limit: float | None = None) -> None:
        self._title, self._folder, self._source, self._label, self._limit = title, folder, source, label, limit
        self._network: VisionTransformer | None = None
        self._preparation: Preparation | None = None
        self._class = 0
        self._device = "cpu"

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Read the weights.

        Raises:
            ScorerError: A file is missing, damaged or another network's, or there is no such class.
        """
        missing = missing_files(self._folder)
        if missing:
            raise ScorerError(_missing(self._title, missing[0], self._folder, self._source))
        if progress is not None:
            progress(f"{self._title}: loading {self._folder.name}.")
        preparation = read_preparation(self._folder, self._title)
        network, labels = load_network(self._folder, self._title)
        wanted = [label.casefold() for label in labels]
        if self._label.casefold() not in wanted:
            raise ScorerError(
                f"{self._title}: the classifier in {self._folder} has no class '{self._label}'; it has "
                f"{', '.join(labels[:20])}.{did_you_mean(self._label, labels)}"
            )
        self._class = wanted.index(self._label.casefold())
        self._network, self._preparation, self._device = network.to(device), preparation, device

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return the probability of the class, or of all others, in [0, 1].

        One image at a time: a batch would differ from singles in the last bits.

        Raises:
            ScorerError: Not loaded, an image cannot be used or is unwanted, or a score is not finite.
        """
        import torch

        if self._network is None or self._preparation is None:
            raise ScorerError(f"{self._title} was asked for a score before it was loaded.")
        scores: list[float] = []
        for i, image in enumerate(images):
            label = image_label(i, contexts)
            pixels = torch.from_numpy(self._preparation.pixels(image, label))
            with torch.inference_mode():
                found = float(self._network(pixels[None].to(self._device)).float().softmax(dim=-1)[0, self._class])
            if found - found != 0:
                raise ScorerError(
                    f"{self._title} gave {found} for {label}, which is no score; its weights are damaged."
                )
            if self._limit is not None and found >= self._limit:
                sentence = f"is '{self._label}' with a probability of {found:.2f}, and {self._limit:g} is the limit"
                raise ScorerError(f"{self._title}: {label} {sentence}.")
            scores.append(found if self._limit is None else 1.0 - found)
        return scores

    def unload(self) -> None:
        """Free the network's memory."""
        if self._network is not None:
            from lib_optim.scoring.state_dicts import free

            self._network = self._preparation = None
            free(self._device)


def builder(scorer: str, title: str, source: str, label: str, guard: bool = False) -> Callable[..., Scorer]:
    """Return the `build` of a row: options ``folder`` and ``label``, and ``limit`` for a guard."""

    def build(options: Mapping[str, Any], models_dir: Any) -> Scorer:
        folder = weights_folder(scorer, options, Path(models_dir))
        limit = float(options.get("limit", 0.5)) if guard else None
        return ClassifierScorer(title, folder, source, str(options.get("label") or label).strip(), limit)

    return build


def checker(scorer: str, title: str, source: str, guard: bool = False) -> OptionsCheck:
    """Return the `check` of a row: which files are missing, and a limit out of range."""

    def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[Any]) -> list[tuple[str, str]]:
        del jobs
        folder = weights_folder(scorer, options, models_dir)
        found = [("folder", _missing(title, name, folder, source)) for name in missing_files(folder)]
        if guard and not 0 < float(options.get("limit", 0.5)) <= 1:
            found.append(("limit", f"{title}: the limit must lie above 0 and be at most 1, not {options['limit']:g}."))
        return found

    return check


def _missing(title: str, name: str, folder: Path, source: str) -> str:
    where = f"get it from {source}" if source else "take it from the classifier of your choice"
    return f"{title} needs the file {name}, which is not in {folder}: {where} and put it there."
