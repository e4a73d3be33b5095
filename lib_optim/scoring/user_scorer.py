"""One scorer of the user's: what their code is given, and what becomes of its answer.

The contract::

    def score(images, prompts, *, strength=0.5):      a function; what stands after * are options in the tab
        return [number, ...]                          one per image, in order; higher or lower is better: TYPICAL says

    class Anything:                                   or a class, for what has weights
        def __init__(self, strength=0.5): ...         options; must be quick
        def load(self, device): ...                   optional: "cpu", "cuda" or "cuda:N"; before the first score
        def score(self, images, prompts): ...
        def unload(self): ...                         optional: let go of the memory

`images` are copies in mode RGB, `prompts` texts, one per image. A parameter ``contexts`` is given an `ImageContext`
per image (payload, seed, index). An answer may be a list, a tuple, a numpy array or a tensor.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import OptimError, ScorerError
from lib_optim.plan.user_files import line_of, syntax_reason
from lib_optim.scoring.base import ImageContext, Progress, image_label
from lib_optim.scoring.pixels import rgb

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["CONTEXTS", "UserScorer", "reason_of"]

CONTEXTS = "contexts"
"""The parameter that is given where each image comes from, if the user's code has it."""


class UserScorer:
    """Lets the user's code judge, and says in one sentence what it did wrong.

    Args:
        title: Of the scorer, for messages.
        path: Its file, for messages.
        made: The function, or the class.
        options: Values for its options.
    """

    def __init__(self, title: str, path: Path, made: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self._title, self._path, self._made, self._options = title, path, made, dict(options)
        self._judge: Any = None
        self._device = "cpu"

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Make an object of the class and have it load; nothing for a function.

        Raises:
            ScorerError: The user's code raised something.
        """
        if progress is not None:
            progress(f"{self._title}: loading.")
        if not inspect.isclass(self._made):
            return
        self._device = device
        try:
            self._judge = self._made(**self._options)
            if callable(getattr(self._judge, "load", None)):
                self._judge.load(device)
        except (Exception, SystemExit) as error:
            self._judge = None
            raise ScorerError(f"{self._title} can't be loaded: {reason_of(self._path, error)}.") from error

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return what the user's code says.

        Raises:
            ScorerError: It raised something, gave not one number per image, or a number that is not finite.
        """
        if not images:
            return []
        function = self._made
        if inspect.isclass(self._made):
            if self._judge is None:
                raise ScorerError(f"{self._title} was asked for a score before it was loaded.")
            function = self._judge.score
        labels = [image_label(i, contexts) for i in range(len(images))]
        which = labels[0] if len(labels) == 1 else f"{len(labels)} images from {labels[0]} on"
        pictures = [rgb(image, label).copy() for image, label in zip(images, labels, strict=True)]
        more = {} if inspect.isclass(self._made) else self._options
        if CONTEXTS in inspect.signature(function).parameters:
            more = {**more, CONTEXTS: list(contexts or [ImageContext()] * len(images))}
        try:
            answer = function(pictures, list(prompts), **more)
            values = _listed(answer)
        except (Exception, SystemExit) as error:
            raise ScorerError(f"{self._title} failed on {which}: {reason_of(self._path, error)}.") from error
        if values is None:
            raise ScorerError(f"{self._title} gave {_short(answer)} for {which}, which is no list of scores.")
        if len(values) != len(images):
            raise ScorerError(f"{self._title} gave {len(values)} scores for {len(images)} images ({which}).")
        return [self._number(value, label) for value, label in zip(values, labels, strict=True)]

    def unload(self) -> None:
        """Have the user's object let go, and forget it."""
        judge, self._judge = self._judge, None
        if judge is None:
            return
        if callable(getattr(judge, "unload", None)):
            judge.unload()
        from lib_optim.scoring.state_dicts import free

        free(self._device)

    def _number(self, value: Any, label: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ScorerError(f"{self._title} gave {_short(value)} for {label}, which is no score.")
        return float(value)


def reason_of(path: Path, error: BaseException) -> str:
    """Return what the code in `path` did wrong, without the full stop: the kind, the words, the line."""
    if isinstance(error, SyntaxError):
        return syntax_reason(error)
    words = " ".join(str(error).split()).rstrip(".")[:300]
    if isinstance(error, OptimError):
        return words
    name = type(error).__name__
    return (f"{name}: {words}" if words else name) + line_of(path, error)


def _listed(answer: Any) -> list[Any] | None:
    """A list, tuple, array or tensor as a list of plain numbers; None for what is none of them."""
    if callable(getattr(answer, "tolist", None)):  # numpy's and torch's, also on a GPU
        answer = answer.tolist()
    if not isinstance(answer, list | tuple):
        return None
    return [item.item() if callable(getattr(item, "item", None)) else item for item in answer]


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}…"
