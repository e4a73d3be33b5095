"""One CLIP network for all scorers that use the same weights on the same device.

It is read when the first of them loads and freed when the last unloads. What it has seen it remembers: the embedding
of an image is computed once for all heads, that of a prompt once for all images.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import Progress
from lib_optim.scoring.clip.layouts import EXTRAS, network_tensors, read_weights
from lib_optim.scoring.clip.sources import ClipSource, locate
from lib_optim.scoring.clip.views import View
from lib_optim.scoring.pixels import rgb

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["ClipBackbone", "Lease", "borrow", "loaded_backbones"]

_REMEMBERED = 512
# On the CPU images go one by one: that is about as fast, and a score does not depend, in its last bits, on which
# images happened to wait together.
_BATCH = {"cuda": 8}
_READABLE = "a .safetensors of the same model (OpenAI's are at huggingface.co/openai)"


class ClipBackbone:
    """A CLIP network with its memory of images and prompts. Thread-safe.

    Args:
        network: open_clip's, on `device`, in evaluation mode.
        model: Its name, which chooses the tokenizer.
        device: Where it is.
    """

    def __init__(self, network: torch.nn.Module, model: str, device: str) -> None:
        size = network.visual.image_size
        self.network, self.model, self.device = network, model, device
        self.size = int(size[0] if isinstance(size, tuple | list) else size)
        self.scale = float(network.logit_scale.exp().item())
        self._batch = _BATCH.get(device.partition(":")[0], 1)
        self._images: OrderedDict[tuple[View, bytes], torch.Tensor] = OrderedDict()
        self._texts: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def images(self, images: Sequence[Image.Image], labels: Sequence[str], view: View) -> torch.Tensor:
        """Return the projected embeddings, not normalised: float32 on the CPU, shape (images, width).

        Raises:
            ScorerError: An image cannot be seen; names it by its label.
        """
        import torch

        with self._lock:
            keys = [(view, _digest(image, label)) for image, label in zip(images, labels, strict=True)]
            new: dict[tuple[View, bytes], torch.Tensor] = {}
            for key, image, label in zip(keys, images, labels, strict=True):
                if key not in self._images and key not in new:
                    new[key] = view.pixels(image, self.size, label)
            known = {key: self._images[key] for key in keys if key in self._images}
            todo = list(new)
            for start in range(0, len(todo), self._batch):
                some = todo[start : start + self._batch]
                with torch.inference_mode():
                    seen = self.network.encode_image(torch.stack([new[key] for key in some]).to(self.device))
                known.update(zip(some, seen.float().cpu().clone(), strict=True))
            for key, embedding in known.items():
                _remember(self._images, key, embedding)
            return torch.stack([known[key] for key in keys])

    def texts(self, prompts: Sequence[str]) -> torch.Tensor:
        """Return the projected embeddings, not normalised: float32 on the CPU, shape (prompts, width).

        Of a prompt, what the network's context holds counts (77 tokens with start and end, for CLIP).
        """
        import torch

        from lib_optim.scoring.openclip import tokenize

        with self._lock:
            found = []
            for prompt in prompts:
                if prompt not in self._texts:
                    with torch.inference_mode():
                        read = self.network.encode_text(tokenize(self.model, prompt).to(self.device))
                    _remember(self._texts, prompt, read.float().cpu()[0].clone())
                found.append(self._texts[prompt])
            return torch.stack(found)


@dataclass(frozen=True)
class _Key:
    model: str
    path: Path
    stamp: tuple[int, int]
    device: str


@dataclass
class _Held:
    backbone: ClipBackbone
    users: int = 0


_held: dict[_Key, _Held] = {}
_lock = threading.RLock()  # reentrant: a forgotten lease may be collected while its own thread is in here


class Lease:
    """The right to use a backbone. `end` gives it back; the last one to do so frees the memory. Idempotent."""

    def __init__(self, key: _Key, held: _Held) -> None:
        self._key = key
        self._held: _Held | None = held
        self.backbone: ClipBackbone | None = held.backbone

    def end(self) -> None:
        """See the class."""
        from lib_optim.scoring.state_dicts import free

        if self._drop():
            free(self._key.device)

    def _drop(self) -> bool:
        with _lock:
            held, self.backbone, self._held = self._held, None, None
            if held is None:
                return False
            held.users -= 1
            if held.users == 0 and _held.get(self._key) is held:
                del _held[self._key]
            return held.users == 0

    def __del__(self) -> None:
        self._drop()


def borrow(source: ClipSource, device: str, title: str, progress: Progress | None = None) -> Lease:
    """Return a lease of the backbone, which is loaded if nobody has it yet.

    Args:
        source: Model and file.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        title: Of the scorer that wants it, for messages.
        progress: Told what is being waited for.

    Raises:
        ScorerError: open_clip or the file is missing, the model is unknown, or the file is another model's.
    """
    path = locate(title, source.file, source.folder, source.download, progress).resolve()
    status = path.stat()
    key = _Key(source.model, path, (status.st_mtime_ns, status.st_size), device)
    with _lock:
        held = _held.get(key)
        if held is None:
            if progress is not None:
                progress(f"{title}: loading {path.name}.")
            held = _Held(_load(source.model, path, device, title))
        held.users += 1
        _held[key] = held
        return Lease(key, held)


def loaded_backbones() -> list[tuple[str, str, int]]:
    """Return model, device and number of users of each backbone in memory."""
    with _lock:
        return [(key.model, key.device, held.users) for key, held in _held.items()]


def _load(model: str, path: Path, device: str, title: str) -> ClipBackbone:
    from lib_optim.scoring.openclip import build_network, materialise
    from lib_optim.scoring.state_dicts import fill

    tensors = read_weights(path, title, _READABLE)
    network = build_network(model, empty=True)
    fill(network, network_tensors(tensors, network), EXTRAS, title, path)
    if not materialise(network):  # an architecture with buffers that only its own code can make
        network = build_network(model)
        fill(network, network_tensors(tensors, network), EXTRAS, title, path)
    if not hasattr(network, "logit_scale"):
        raise ScorerError(f"{title}: {model} has no scale of its cosine, so it is no CLIP; choose another model.")
    return ClipBackbone(network.to(device), model, device)


def _digest(image: Image.Image, label: str) -> bytes:
    picture = rgb(image, label)
    head = f"{picture.width}x{picture.height}:".encode()
    return hashlib.blake2b(head + picture.tobytes(), digest_size=16).digest()


def _remember(memory: OrderedDict[Any, torch.Tensor], key: Any, value: torch.Tensor) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _REMEMBERED:
        memory.popitem(last=False)
