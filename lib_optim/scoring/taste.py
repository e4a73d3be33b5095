"""My taste: the rating that you would probably give, learned from those you gave (`taste_model`).

    score = the rating expected, on the scale 0 … 10

A file of a taste (`taste_file`) names the network that saw the rated images; with another one it is refused, for its
numbers would mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import ImageJob
from lib_optim.scoring.base import ImageContext, OptionRow, Progress, ScorerRow, image_label
from lib_optim.scoring.embeddings import Embedder, embedder, embedding_problem
from lib_optim.scoring.taste_file import Taste, find_taste, read_taste

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["TASTE", "TASTE_ROW", "TasteScorer", "build", "check", "refuse_other_network"]

TASTE = "taste"
_TITLE = "My taste"


class TasteScorer:
    """See the module.

    Args:
        path: A saved taste.
        models: The scorers' models folder.
    """

    def __init__(self, path: Path, models: Path) -> None:
        self._path, self._models = path, models
        self._taste: Taste | None = None
        self._eyes: Embedder | None = None
        self._doubts: list[float] = []

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Read the taste and the network that it was learned with.

        Raises:
            ScorerError: A file is missing or damaged, or the network is another one.
        """
        self.unload()
        taste = read_taste(self._path)
        eyes = embedder(taste.identity.way, self._models)
        refuse_other_network(self._path, taste, eyes)
        eyes.load(device, progress)
        self._taste, self._eyes = taste, eyes

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return the rating expected of each image; about 0 to 10.

        Raises:
            ScorerError: Not loaded, or an image cannot be used.
        """
        del prompts
        if self._taste is None or self._eyes is None:
            raise ScorerError(f"{_TITLE} was asked for a score before it was loaded.")
        labels = [image_label(i, contexts) for i in range(len(images))]
        if not labels:
            return []
        # One by one: a product of matrices may differ in its last bits with the number of its rows.
        seen = [self._taste.model.predict(one[None]) for one in self._eyes.look(images, labels)]
        self._doubts = [float(doubt[0]) for _, doubt in seen]
        return [float(rating[0]) for rating, _ in seen]

    def doubts(self) -> list[float]:
        """Return the standard deviation of each of the last scores, which the run records beside them."""
        return self._doubts

    @property
    def _network(self) -> Any:
        return getattr(self._eyes, "network", None)

    def unload(self) -> None:
        """Free the memory. Idempotent."""
        eyes, self._eyes, self._taste, self._doubts = self._eyes, None, None, []
        if eyes is not None:
            eyes.unload()


def refuse_other_network(path: Path, taste: Taste, eyes: Embedder) -> None:
    """Raise `ScorerError` if `eyes` is not what `taste` was learned with."""
    if eyes.identity != taste.identity:
        raise ScorerError(
            f"The taste {path.stem} was learned from {taste.identity} and can't judge by {eyes.identity}; train it "
            "again, or put that network's file back."
        )


def build(options: Mapping[str, Any], models_dir: Any) -> TasteScorer:
    """Return the scorer for the option ``taste``.

    Raises:
        ScorerError: There is no such taste.
    """
    models = Path(models_dir)
    return TasteScorer(find_taste(str(options.get("taste") or ""), models), models)


def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[ImageJob]) -> list[tuple[str, str]]:
    """Return what is wrong with the taste or its network, for the plan check."""
    del jobs
    models = Path(models_dir)
    try:
        path = find_taste(str(options.get("taste") or ""), models)
        taste = read_taste(path)
        missing = embedding_problem(taste.identity.way, models)
        if not missing:
            refuse_other_network(path, taste, embedder(taste.identity.way, models))
    except ScorerError as error:
        return [("taste", str(error))]
    return [("taste", missing)] if missing else []


TASTE_ROW = ScorerRow(
    id=TASTE,
    title=_TITLE,
    measures="The rating that you would probably give, learned from at least 20 of your own ratings of other images.",
    fooled_by="What it never saw you rate: other subjects and styles, hands and faces; it cannot like more than you.",
    reads_prompt=False,
    typical=(0.0, 10.0),
    raw_range="about 0 … 10, as you rated",
    licence="your own ratings; the network that looks: MIT (packaged) or MIT (OpenAI's CLIP)",
    memory=1_710_000_000,
    weights=(),
    packages=(),
    options=(
        OptionRow("taste", "Which taste: the name under which you saved it, or its file", "text", "", required=True),
        OptionRow("ask", "With My own eyes: ask me only about uncertain or promising images", "bool", False),
    ),
    build=build,
    check=check,
    batches=True,
)
