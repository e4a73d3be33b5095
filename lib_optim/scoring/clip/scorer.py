"""What the scorers on a CLIP backbone have in common: two kinds, by whether they read the prompt."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import ImageContext, Progress, WeightFile, image_label
from lib_optim.scoring.clip.backbone import ClipBackbone, Lease, borrow
from lib_optim.scoring.clip.layouts import read_weights
from lib_optim.scoring.clip.sources import ClipSource, locate
from lib_optim.scoring.clip.views import CROPPED, View

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["HeadFile", "HeadKind", "HeadScorer", "PairScorer"]


class _OnBackbone(abc.ABC):
    """A scorer that borrows a backbone.

    Args:
        title: As shown.
        source: Which CLIP.
        view: How it sees pictures.
    """

    def __init__(self, title: str, source: ClipSource, view: View = CROPPED) -> None:
        self._title, self._source, self._view = title, source, view
        self._lease: Lease | None = None

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Borrow the backbone, which is read if no other scorer has it already.

        Raises:
            ScorerError: open_clip or a file is missing, the model is unknown, or a file is another model's.
        """
        self.unload()
        self._load_more(progress)
        self._lease = borrow(self._source, device, self._title, progress)

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return one score per image. On a GPU a batch may differ from singles in the last bits, on the CPU not.

        Raises:
            ScorerError: Not loaded, an image cannot be used, or a score is not finite.
        """
        backbone = self._lease.backbone if self._lease is not None else None
        if backbone is None:
            raise ScorerError(f"{self._title} was asked for a score before it was loaded.")
        if len(images) != len(prompts):
            raise ScorerError(f"{self._title} was given {len(images)} images and {len(prompts)} prompts.")
        if not images:
            return []
        labels = [image_label(i, contexts) for i in range(len(images))]
        scores = [float(value) for value in self._judge(backbone, images, prompts, labels)]
        for label, value in zip(labels, scores, strict=True):
            if value - value != 0:
                raise ScorerError(
                    f"{self._title} gave {value} for {label}, which is no score; its weights may be damaged."
                )
        return scores

    def unload(self) -> None:
        """Give the backbone back; the last scorer to do so frees its memory. Idempotent."""
        if self._lease is not None:
            self._lease.end()
            self._lease = None

    @property
    def _network(self) -> torch.nn.Module | None:
        backbone = self._lease.backbone if self._lease is not None else None
        return backbone.network if backbone is not None else None

    def _load_more(self, progress: Progress | None) -> None:
        """Read what the scorer needs beside the backbone; before it, since it is small and may be missing."""
        del progress

    @abc.abstractmethod
    def _judge(
        self, backbone: ClipBackbone, images: Sequence[Image.Image], prompts: Sequence[str], labels: Sequence[str]
    ) -> Sequence[float]:
        """Return one number per image."""


class PairScorer(_OnBackbone):
    """Scale times the cosine of picture and prompt.

    Args:
        scale: A number; or None for the network's own, exp(logit_scale), about 100 for CLIP.
    """

    def __init__(self, title: str, source: ClipSource, scale: float | None = 1.0, view: View = CROPPED) -> None:
        super().__init__(title, source, view)
        self._scale = scale

    def _judge(
        self, backbone: ClipBackbone, images: Sequence[Image.Image], prompts: Sequence[str], labels: Sequence[str]
    ) -> Sequence[float]:
        import torch

        seen, read = backbone.images(images, labels, self._view), backbone.texts(prompts)
        scale = backbone.scale if self._scale is None else self._scale
        # Pair by pair: what is computed for many at once can differ in the last bit.
        return [
            scale * float(torch.nn.functional.cosine_similarity(one[None], other[None]).item())
            for one, other in zip(seen, read, strict=True)
        ]


@dataclass(frozen=True)
class HeadKind:
    """A small network on image embeddings.

    Attributes:
        network: From the tensors of its file to the network that they fill, on the meta device. Raises ScorerError.
        normalised: Whether it is given embeddings of length 1.
        finish: What is done to its output, a number.
        extras: Regular expression for tensors that the file may have beyond the network's own.
    """

    network: Callable[[Mapping[str, torch.Tensor]], torch.nn.Module]
    normalised: bool = True
    finish: Callable[[float], float] = float
    extras: str = ""


@dataclass(frozen=True)
class HeadFile:
    """Where a head's weights are.

    Attributes:
        file: A file; or a row that is looked for in `folder`, and downloaded to it if that is allowed.
        folder: See `file`.
        download: Whether a missing row may be downloaded.
        safe: Which file to take if the given one is a pickle; part of a sentence.
    """

    file: Path | WeightFile
    folder: Path
    download: bool
    safe: str


class HeadScorer(_OnBackbone):
    """A head's opinion of the picture alone. The head runs on the CPU: it costs microseconds."""

    def __init__(self, title: str, source: ClipSource, kind: HeadKind, weights: HeadFile) -> None:
        super().__init__(title, source)
        self._kind, self._weights = kind, weights
        self._head: Any = None

    def unload(self) -> None:
        """Forget the head and give the backbone back. Idempotent."""
        self._head = None
        super().unload()

    def _load_more(self, progress: Progress | None) -> None:
        from lib_optim.scoring.state_dicts import fill

        weights = self._weights
        path = locate(self._title, weights.file, weights.folder, weights.download, progress)
        tensors = read_weights(path, self._title, weights.safe)
        try:
            network = self._kind.network(tensors)
        except ScorerError as error:
            raise ScorerError(f"{self._title}: {path.name} {error}") from error
        self._head = fill(network, tensors, self._kind.extras, self._title, path)

    def _judge(
        self, backbone: ClipBackbone, images: Sequence[Image.Image], prompts: Sequence[str], labels: Sequence[str]
    ) -> Sequence[float]:
        import torch

        seen = backbone.images(images, labels, CROPPED)
        wanted = next(self._head.parameters()).shape[-1]
        if seen.shape[-1] != wanted:
            raise ScorerError(
                f"{self._title}: its head reads {wanted} numbers per image, but {backbone.model} gives "
                f"{seen.shape[-1]}; the CLIP weights belong to another model."
            )
        scores = []
        for embedding in seen:
            with torch.inference_mode():
                given = torch.nn.functional.normalize(embedding, dim=-1) if self._kind.normalised else embedding
                scores.append(self._kind.finish(float(self._head(given[None]).item())))
        return scores
