"""A scorer that runs somewhere else: in its own environment, on this or another machine; docs/remote-scorer.md.

    score = (v − bad) / (good − bad),  v = mu − k · sigma      (mu + k · sigma where lower is better)

mu is the other side's score, sigma its uncertainty if it gives one (as HPSv3 does). `bad` and `good` are
what it gives typical images: from the user, else from the other side, else 0 and 1.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import ImageContext, Progress, image_label
from lib_optim.scoring.pixels import rgb
from lib_optim.scoring.remote_call import VERSION, address_of, call

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["RemoteScorer", "build", "check"]

_MOST_BODY = 64_000_000  # bytes of one request
_MOST_IMAGES = 8
_GREETING_SECONDS = 10.0


class RemoteScorer:
    """See the module.

    Args:
        url: Where it listens, ``http://host:port``.
        options: Given to the other side as they are.
        k: How many sigmas to be cautious by.
        bad: What it gives a typical bad image; None: as it says itself.
        good: The same for a good one.
        timeout: Seconds for one request.
        retries: How often a request is sent again that was not answered.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any] | None = None,
        k: float = 0.0,
        bad: float | None = None,
        good: float | None = None,
        timeout: float = 120.0,
        retries: int = 2,
    ) -> None:
        self._address = address_of(url)
        self._options, self._k, self._timeout, self._attempts = dict(options or {}), k, timeout, retries + 1
        self._bad, self._good = bad, good
        self._progress: Progress | None = None
        self._images, self._bytes = _MOST_IMAGES, _MOST_BODY
        self._scale: tuple[float, float] | None = None

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Ask the other side who it is; `device` is its own affair.

        Raises:
            ScorerError: Nobody answers there, or somebody else.
        """
        if progress is not None:
            progress(f"Asking the remote scorer at {self._address}.")
        timeout = min(self._timeout, _GREETING_SECONDS)
        told = call(self._address, "GET", "/", None, timeout, self._attempts, progress)
        self._images = _limit(told.get("max_images"), _MOST_IMAGES)
        self._bytes = _limit(told.get("max_bytes"), _MOST_BODY)
        self._scale = self._range(told.get("typical"))
        self._progress = progress

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return what the other side thinks, in as many requests as its limits ask for.

        Raises:
            ScorerError: Not loaded; no answer in time; an answer that is no score for every image.
        """
        if self._scale is None:
            raise ScorerError(f"The remote scorer at {self._address} was asked for a score before it was loaded.")
        labels = [image_label(i, contexts) for i in range(len(images))]
        items = []
        for i, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            context = contexts[i] if contexts else ImageContext()
            where = {"payload": context.payload, "seed": context.seed, "index": context.index}
            items.append({"png": _png(image, labels[i]), "prompt": prompt, **where})
        scores: list[float] = []
        for first, batch in self._batches(items, labels):
            scores += self._asked(batch, labels[first : first + len(batch)])
        return scores

    def unload(self) -> None:
        """Ask the other side to free its memory, which it may be sharing with the WebUI; no answer is no harm."""
        loaded, self._scale, self._progress = self._scale is not None, None, None
        if loaded:
            with contextlib.suppress(ScorerError):
                call(self._address, "POST", "/unload", b"{}", min(self._timeout, _GREETING_SECONDS))

    def _range(self, typical: Any) -> tuple[float, float]:
        told = (0.0, 1.0)
        if isinstance(typical, list) and len(typical) == 2 and all(_finite(v) for v in typical):
            told = float(typical[0]), float(typical[1])
        bad = told[0] if self._bad is None else self._bad
        good = told[1] if self._good is None else self._good
        if bad == good:
            raise ScorerError(
                f"The remote scorer at {self._address} has the same score {bad:g} for bad and good images."
            )
        return bad, good

    def _batches(self, items: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Iterator[tuple[int, list[Any]]]:
        first, size = 0, 0
        room = self._bytes - 4096 - len(json.dumps(self._options))
        for i, item in enumerate(items):
            length = len(json.dumps(item)) + 2
            if length > room:
                raise ScorerError(
                    f"{labels[i]} makes a request of {length:,} bytes, and the remote scorer at {self._address} takes "
                    f"{self._bytes:,}; make smaller images."
                )
            if i > first and (size + length > room or i - first >= self._images):
                yield first, list(items[first:i])
                first, size = i, 0
            size += length
        if items:
            yield first, list(items[first:])

    def _asked(self, batch: Sequence[Any], labels: Sequence[str]) -> list[float]:
        question = {"version": VERSION, "id": uuid.uuid4().hex, "options": self._options, "images": batch}
        body = json.dumps(question).encode()
        told = call(self._address, "POST", "/score", body, self._timeout, self._attempts, self._progress)
        if told.get("id") != question["id"]:
            raise ScorerError(f"The remote scorer at {self._address} answered another question than it was asked.")
        means = self._numbers(told.get("scores"), "scores", labels)
        if self._k == 0:
            return [self._placed(mean) for mean in means]
        if "sigmas" not in told:
            raise ScorerError(f"The remote scorer at {self._address} gives no sigma; set k to 0.")
        spreads = self._numbers(told["sigmas"], "sigmas", labels)
        bad, good = self._scale or (0.0, 1.0)
        k = self._k if good > bad else -self._k
        return [self._placed(mean - k * spread) for mean, spread in zip(means, spreads, strict=True)]

    def _placed(self, value: float) -> float:
        bad, good = self._scale or (0.0, 1.0)
        return (value - bad) / (good - bad)

    def _numbers(self, values: Any, name: str, labels: Sequence[str]) -> list[float]:
        if not isinstance(values, list) or len(values) != len(labels):
            got = f"{len(values)} {name}" if isinstance(values, list) else f"no {name}"
            raise ScorerError(
                f"The remote scorer at {self._address} gave {got} for {len(labels)} images ({labels[0]})."
            )
        for value, label in zip(values, labels, strict=True):
            if not _finite(value) or (name == "sigmas" and value < 0):
                what = "no score" if name == "scores" else "no sigma"
                raise ScorerError(
                    f"The remote scorer at {self._address} gave {json.dumps(value)[:60]} for {label}, which is {what}."
                )
        return [float(value) for value in values]


def build(options: Mapping[str, Any], models_dir: Any) -> RemoteScorer:
    """Return the scorer for the options ``url``, ``options``, ``k``, ``bad``, ``good``, ``timeout``, ``retries``.

    Raises:
        ScorerError: An option makes no sense.
    """
    del models_dir
    found = check(options, Path(), ())
    if found:
        raise ScorerError(found[0][1])
    return RemoteScorer(
        str(options.get("url") or ""),
        _object(options.get("options")),
        float(options.get("k") or 0.0),
        _number(options.get("bad")),
        _number(options.get("good")),
        float(options.get("timeout") or 120.0),
        int(options.get("retries", 2)),
    )


def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[Any]) -> list[tuple[str, str]]:
    """Return what is wrong with the address and the numbers, for the plan check; asks nobody."""
    del models_dir, jobs
    found: list[tuple[str, str]] = []
    try:
        address_of(str(options.get("url") or ""))
    except ScorerError as error:
        found.append(("url", str(error)))
    try:
        _object(options.get("options"))
    except ScorerError as error:
        found.append(("options", str(error)))
    k, timeout, retries = options.get("k") or 0.0, options.get("timeout") or 120.0, options.get("retries", 2)
    if k < 0:
        found.append(("k", f"The k of the remote scorer must not be below 0, as {k:g} is: it stands for caution."))
    if not 1 <= timeout <= 3600:
        found.append(("timeout", f"The remote scorer's timeout must lie between 1 and 3600 s, not {timeout:g}."))
    if retries != int(retries) or not 0 <= retries <= 10:
        found.append(("retries", f"The remote scorer's retries must be a whole number from 0 to 10, not {retries:g}."))
    bad, good = _number(options.get("bad")), _number(options.get("good"))
    if bad is not None and bad == good:
        found.append(
            ("good", f"Bad and good images of the remote scorer have the same score {bad:g}; they must differ.")
        )
    return found


def _object(text: Any) -> dict[str, Any]:
    words = str(text or "").strip()
    if not words:
        return {}
    try:
        found = json.loads(words)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ScorerError(f'The options of the remote scorer must be JSON such as {{"strength": 2}}, not {words[:60]}.')
    return found


def _png(image: Image.Image, label: str) -> str:
    written = io.BytesIO()
    rgb(image, label).save(written, "PNG", compress_level=1)
    return base64.b64encode(written.getvalue()).decode("ascii")


def _limit(value: Any, most: int) -> int:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return min(value, most) if good else most


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
