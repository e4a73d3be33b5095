"""What a scorer is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import ImageJob

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "ImageContext",
    "OptionRow",
    "Progress",
    "Scorer",
    "ScorerRow",
    "WeightFile",
    "context_of",
    "image_label",
    "refuse_options",
]

Progress = Callable[[str], None]
"""Takes one sentence for the user (loading, downloading 12 of 1790 MB)."""


@dataclass(frozen=True)
class ImageContext:
    """Where an image comes from, for scorers that compare each image with one of its own and for messages.

    Attributes:
        payload: Name of the payload, or empty if unknown.
        seed: Seed of this very image, or None if unknown.
        index: Position among the images of a trial, from 0, or None if unknown.
    """

    payload: str = ""
    seed: int | None = None
    index: int | None = None

    def __str__(self) -> str:
        parts = [f"image {self.index + 1}"] if self.index is not None else ["the image"]
        if self.payload:
            parts.append(f"of payload '{self.payload}'")
        if self.seed is not None:
            parts.append(f"with seed {self.seed}")
        return " ".join(parts)


def context_of(job: ImageJob) -> ImageContext:
    """Return the context of the image that `job` asks for."""
    return ImageContext(job.payload.name, job.seed, job.index)


def refuse_options(scorer: str, options: Mapping[str, Any]) -> None:
    """Raise `ScorerError` if `options` holds any: for scorers that have none."""
    if options:
        raise ScorerError(f"The scorer '{scorer}' has no option '{next(iter(options))}'; remove it.")


def image_label(position: int, contexts: Sequence[ImageContext] | None) -> str:
    """Return how a message names the image at `position` of a batch: its context, or its place in the batch."""
    if contexts is not None and position < len(contexts) and contexts[position] != ImageContext():
        return str(contexts[position])
    return f"image {position + 1}"


class Scorer(Protocol):
    """A judge of images.

    Life cycle: built by its row's `build` (cheap, no heavy import), `load` before the first `score`, `unload`
    when its memory is wanted; `load` again is allowed. All calls come from one scoring thread.
    """

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Load weights onto `device` (``cpu``, ``cuda``, ``cuda:N``); downloads only if its options say so.

        Args:
            device: Never ``auto``: the caller has decided.
            progress: Told what is being waited for.

        Raises:
            ScorerError: Weights missing, of the wrong layout, or a package is missing; one sentence.
        """

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return one raw score per image, in order. Same input, same score; a batch equals singles.

        Where the row says `across`, the images are compared with each other and a batch is one payload of a trial.
        On the CPU to the last bit; on a GPU a scorer whose row says `batches` may differ in the last bits.

        Args:
            images: Of any size and mode; not changed.
            prompts: One per image, as `prompts.scoring_text` gives them. Any length, also empty.
            contexts: One per image, or None where the images come from no run (calibration).

        Raises:
            ScorerError: An image could not be scored, or the result is not finite; names the image.
        """

    def unload(self) -> None:
        """Free the memory. Idempotent."""


@dataclass(frozen=True)
class WeightFile:
    """One file of weights: where it comes from, and what it is called in the scorer's folder.

    Attributes:
        name: File name.
        url: Where it can be had.
        bytes: Size; a download must have exactly this many, or, where `sha256` is empty, at most twice as many.
            0 for unknown (with an empty `sha256` only): then the announced hash is all that is checked.
        sha256: Lower-case hex, or empty if it was never computed from the true file: a download is then
            checked against the hash that the server announces, and refused if it announces none.
        instead: Other names under which the same weights are taken, first match wins.
    """

    name: str
    url: str
    bytes: int
    sha256: str
    instead: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptionRow:
    """One option of a scorer. `kind`: ``path``, ``image``, ``text``, ``number``, ``bool`` or ``choice``.

    ``path`` is a folder or file that must exist if given; ``image`` is an image file or a folder of them.
    """

    name: str
    title: str
    kind: str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()


OptionsCheck = Callable[[Mapping[str, Any], Path, Sequence[ImageJob]], list[tuple[str, str]]]


@dataclass(frozen=True)
class ScorerRow:
    """A row of the registry: everything the tab, the docs and the plan check need to know of a scorer.

    Attributes:
        id: Stable identifier.
        title: As shown.
        measures: One line: what it rewards.
        fooled_by: One line: what fools it.
        reads_prompt: Whether the score depends on the prompt.
        typical: Raw scores of bad and of good images. Scores are mapped linearly so that these become 0 and
            1 (not clipped) before they are combined; ``typical[0] > typical[1]`` where lower is better.
        licence: Of the weights.
        memory: Bytes needed when loaded.
        weights: Files it needs; empty for none.
        packages: Import names it needs beyond what every host has.
        options: What the user can set.
        build: Options and models folder to a scorer, without heavy imports.
        devices: Kinds of device it can run on.
        manual: Scored by the user's clicks; `build` raises.
        across: Compares the images of a trial with each other: `score` gets all images of one payload of one trial at
            once, in the order of their indices, and never a part of them.
        check: Options, models folder and the images of a trial to (option name, sentence) for each thing that
            the options' kinds do not already say; loads nothing. None: nothing more to check.
        raw_range: The raw scores that occur, in words; empty: `typical` says it.
        batches: Whether several images at once are faster than one by one. On the CPU it gets them one by one.
    """

    id: str
    title: str
    measures: str
    fooled_by: str
    reads_prompt: bool
    typical: tuple[float, float]
    licence: str
    memory: int
    weights: tuple[WeightFile, ...]
    packages: tuple[str, ...]
    options: tuple[OptionRow, ...]
    build: Callable[[Mapping[str, Any], Any], Scorer]
    devices: tuple[str, ...] = ("cpu", "cuda")
    manual: bool = False
    check: OptionsCheck | None = None
    across: bool = False
    raw_range: str = ""
    batches: bool = False

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller raw score means a better image."""
        return self.typical[0] > self.typical[1]
