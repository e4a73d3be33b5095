"""ImageReward 1.0 (Xu et al. 2023, arXiv 2304.05977): what people would prefer, given the prompt.

Own implementation: `blip` is the network, `wordpiece` reads the prompt, `pixels` prepares the picture. Nothing to
install; the weights are the published ImageReward.pt (or the same tensors as .safetensors) and BERT's vocab.txt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import ImageContext, Progress, WeightFile, image_label
from lib_optim.scoring.weights import missing_files, obtain, weights_folder

if TYPE_CHECKING:
    from PIL import Image

    from lib_optim.scoring.blip import RewardNetwork, Sizes
    from lib_optim.scoring.wordpiece import WordPiece

__all__ = ["VOCABULARY", "WEIGHTS", "ImageRewardScorer", "build", "check"]

_TITLE = "ImageReward"
_TOKENS = 35
# Left over from pretraining, in the published file and in no use: the contrastive projections, and a buffer 0, 1, 2, ….
_EXTRAS = r"blip\.(vision_proj|text_proj)\.(weight|bias)|blip\.text_encoder\.embeddings\.position_ids"

WEIGHTS = WeightFile(
    "ImageReward.pt",
    "https://huggingface.co/THUDM/ImageReward/resolve/main/ImageReward.pt",
    1_790_000_000,
    "",
    ("ImageReward.safetensors",),
)
VOCABULARY = WeightFile(
    "vocab.txt",
    "https://huggingface.co/google-bert/bert-base-uncased/resolve/main/vocab.txt",
    231_508,
    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    ("bert-base-uncased-vocab.txt", "bert-base-uncased/vocab.txt"),
)


class ImageRewardScorer:
    """See the module.

    Args:
        folder: With the two files.
        download: Whether missing files may be downloaded.
        sizes: Of the network; None for the published one. Others serve tests.
    """

    def __init__(self, folder: Path, download: bool = False, sizes: Sizes | None = None) -> None:
        self._folder, self._download, self._sizes = folder, download, sizes
        self._network: RewardNetwork | None = None
        self._tokenizer: WordPiece | None = None
        self._device = "cpu"

    def load(self, device: str, progress: Progress | None = None) -> None:
        """Read the weights (1.8 GB of memory on `device`, as float32).

        Raises:
            ScorerError: A file is missing and may not be downloaded, is damaged, or belongs to another model.
        """
        import torch

        from lib_optim.scoring.blip import FULL, RewardNetwork
        from lib_optim.scoring.state_dicts import fill, read_state_dict
        from lib_optim.scoring.wordpiece import BLIP_TOKENS, WordPiece, refuse_other_size

        sizes = self._sizes or FULL
        vocabulary = obtain(_TITLE, VOCABULARY, self._folder, self._download, progress)
        weights = obtain(_TITLE, WEIGHTS, self._folder, self._download, progress)
        tokenizer = WordPiece.from_file(vocabulary, BLIP_TOKENS)
        refuse_other_size(tokenizer, sizes.vocabulary, vocabulary, _TITLE)
        if progress is not None:
            progress(f"{_TITLE}: loading {weights.name}.")
        with torch.device("meta"):
            network = RewardNetwork(sizes)
        fill(network, read_state_dict(weights, _TITLE), _EXTRAS, _TITLE, weights)
        self._network, self._tokenizer, self._device = network.to(device), tokenizer, device

    def score(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        contexts: Sequence[ImageContext] | None = None,
    ) -> list[float]:
        """Return the reward of each image; of the prompts, the first 33 word pieces count.

        One image at a time: a batch would differ from singles in the last bits.

        Raises:
            ScorerError: Not loaded, an image cannot be used, or a reward is not finite.
        """
        import torch

        from lib_optim.scoring.pixels import clip_pixels

        if self._network is None or self._tokenizer is None:
            raise ScorerError(f"{_TITLE} was asked for a score before it was loaded.")
        rewards: list[float] = []
        for i, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            label = image_label(i, contexts)
            pixels = torch.from_numpy(clip_pixels(image, self._network.sizes.image, label))
            ids, mask = self._tokenizer.encode(prompt, _TOKENS)
            with torch.inference_mode():
                reward = self._network(
                    pixels[None].to(self._device),
                    torch.tensor([ids], device=self._device),
                    torch.tensor([mask], device=self._device),
                )
            value = float(reward.item())
            if value - value != 0:
                raise ScorerError(f"{_TITLE} gave {value} for {label}, which is no score; its weights may be damaged.")
            rewards.append(value)
        return rewards

    def unload(self) -> None:
        """Free the network's memory."""
        if self._network is not None:
            from lib_optim.scoring.state_dicts import free

            self._network = self._tokenizer = None
            free(self._device)


def build(options: Mapping[str, Any], models_dir: Any) -> ImageRewardScorer:
    """Return the scorer for the options ``folder`` and ``download``."""
    return ImageRewardScorer(
        weights_folder("imagereward", options, Path(models_dir)), bool(options.get("download", False))
    )


def check(options: Mapping[str, Any], models_dir: Path, jobs: Sequence[Any]) -> list[tuple[str, str]]:
    """Return which files are missing, for the plan check; none if they may be downloaded."""
    del jobs
    return missing_files(_TITLE, "imagereward", (WEIGHTS, VOCABULARY), options, models_dir)
