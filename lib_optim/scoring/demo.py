"""Demo: shapes and colours. Does a picture of the demo checkpoints show what its prompt says?

A small network that ships with Optim (0.1 MB) looks at the picture in 64x64 pixels and gives, for each of five things
to say of it, a probability to every word of `demo_words.VOCABULARY`. The score is the mean probability of the words
that the prompt has:

    score = mean over the things that the prompt says of p(its word | picture)        in [0, 1]

It was trained on the drawn pictures of ``tools/demo_pair``, also blurred, noisy and blended with one another, and knows
nothing else: for any other checkpoint or prompt its scores mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import ImageJob
from lib_optim.scoring.base import ImageContext, Progress, image_label, refuse_options
from lib_optim.scoring.demo_words import VOCABULARY, words_of
from lib_optim.scoring.pixels import rgb
from lib_optim.scoring.prompts import scoring_text

if TYPE_CHECKING:
    import torch

__all__ = ["SIZE", "WEIGHTS", "DemoScorer", "build", "check", "embedding", "log_probabilities", "pixels_of"]

WEIGHTS = Path(__file__).with_name("weights") / "demo.safetensors"
SIZE = 64
_CONVOLUTIONS = 4  # each of stride 2, so that the last one sees the picture as 4x4
_ADVICE = "has none of the words that the demo scorer knows, such as {words}; choose another scorer or a demo payload."


class DemoScorer:
    """See the module.

    Args:
        weights: A classifier's file: the one that ships with Optim, or another of its kind.
    """

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._path = weights
        self._weights: dict[str, torch.Tensor] | None = None
        self._device = "cpu"

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Read the weights.

        Raises:
            ScorerError: The file is missing or broken.
        """
        from safetensors.torch import load_file

        try:
            tensors = load_file(str(self._path))
        except Exception as error:
            raise ScorerError(f"The weights of the demo scorer, {self._path}, can't be read: {error}.") from error
        self._weights = {name: tensor.float().to(device) for name, tensor in tensors.items()}
        self._device = device

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return how well each image shows what its prompt says, in [0, 1].

        A prompt that says nothing it knows (which the plan check refuses) gets how sure it is of what it sees.
        """
        labels = [image_label(i, contexts) for i in range(len(images))]
        scores: list[float] = []
        for image, prompt, label in zip(images, prompts, labels, strict=True):
            said = words_of(prompt)
            seen = self.probabilities(image, label)
            found = [seen[name][word] for name, word in said.items()] or [max(values) for values in seen.values()]
            scores.append(float(np.mean(found)))
        return scores

    def probabilities(self, image: Image.Image, label: str = "the image") -> dict[str, list[float]]:
        """Return the probability of every word, by the name of what it says."""
        import torch

        if self._weights is None:
            self.load(self._device)
        assert self._weights is not None
        with torch.no_grad():
            pixels = torch.from_numpy(pixels_of(image, label)).unsqueeze(0).to(self._device)
            found = log_probabilities(self._weights, pixels)
        return {name: values[0].exp().tolist() for name, values in found.items()}

    def unload(self) -> None:
        """Free the weights."""
        self._weights = None


def pixels_of(image: Image.Image, label: str = "the image") -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return what the network sees: float32 [3, 64, 64] in [-1, 1].

    Raises:
        ScorerError: As `pixels.rgb`.
    """
    picture = rgb(image, label)
    if picture.size != (SIZE, SIZE):
        picture = picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    values = np.asarray(picture, dtype=np.float32) / np.float32(127.5) - np.float32(1)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def log_probabilities(weights: Mapping[str, torch.Tensor], pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Run the network.

    Args:
        weights: ``conv{i}`` and ``head`` with weight and bias, fp32.
        pixels: [n, 3, 64, 64] in [-1, 1].

    Returns:
        For each name of `VOCABULARY` [n, words].
    """
    from torch.nn import functional

    answers = functional.linear(embedding(weights, pixels), weights["head.weight"], weights["head.bias"])
    parts = answers.split([len(words) for words in VOCABULARY.values()], dim=1)
    return {name: functional.log_softmax(part, dim=1) for name, part in zip(VOCABULARY, parts, strict=True)}


def embedding(weights: Mapping[str, torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    """Return what the network makes of pictures before it names words: [n, 128], mean and greatest of 64 channels."""
    import torch
    from torch.nn import functional

    hidden = pixels
    for i in range(_CONVOLUTIONS):
        hidden = functional.conv2d(hidden, weights[f"conv{i}.weight"], weights[f"conv{i}.bias"], stride=2, padding=1)
        hidden = functional.silu(hidden)
    return torch.cat([hidden.mean(dim=(2, 3)), hidden.amax(dim=(2, 3))], dim=1)


def build(options: Mapping[str, Any], models_dir: Any) -> DemoScorer:
    """Return the scorer; it has no options.

    Raises:
        ScorerError: An option was given.
    """
    del models_dir
    refuse_options("demo", options)
    return DemoScorer()


def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[ImageJob]) -> list[tuple[str, str]]:
    """Return the payloads that the scorer cannot judge, for the plan check."""
    del options, models_dir
    silent = [job.payload.name for job in jobs if not words_of(scoring_text(job.payload))]
    advice = _ADVICE.format(words=_some_words())
    return [("prompt", f"The prompt of payload '{name}' {advice}") for name in dict.fromkeys(silent)]


def _some_words() -> str:
    return ", ".join(words[0] for words in VOCABULARY.values())
