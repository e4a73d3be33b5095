"""The standalone host with a generator that takes milliseconds, and whose pictures show every bit of the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from PIL import Image

from lib_optim.hosts.base import GeneratedImage
from lib_optim.hosts.digest import tensor_digest
from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.hosts.standalone.infotext import infotext_of
from lib_optim.plan.errors import Interrupted
from lib_optim.plan.payload import ImageJob

__all__ = ["FastHost"]

_STRIDE = 7  # one tensor in so many is looked at for a picture; another share for each seed


class FastHost(StandaloneHost):
    """All of it is real but the picture: a smooth pattern drawn from a digest of live tensors, prompt and seed."""

    def generate(self, job: ImageJob, stamp: Mapping[str, str]) -> GeneratedImage:
        """Draw the picture; two are equal only if weights, prompt and seed are."""
        self._must_hold()
        model = self._model
        assert model is not None
        assert self._in_job
        self._interrupt.clear()
        names = sorted(target.name for source in model.table.sources.values() for target in source.targets)
        digests = [tensor_digest(model.tensor(name)) for name in names[job.seed % _STRIDE :: _STRIDE]]
        self._on_step(1, 1)
        seed = hashlib.sha256(f"{digests} {job.payload.prompt} {job.seed}".encode()).digest()
        if self._interrupt.is_set():
            raise Interrupted("The image was interrupted.")
        text = infotext_of(job, "fast", model.checkpoint.sha256, f"Optim {self.version}", stamp)
        return GeneratedImage(_picture(seed, job.payload.width, job.payload.height), text)


def _picture(seed: bytes, width: int, height: int) -> Image.Image:
    small = np.random.default_rng(list(seed)).integers(40, 216, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
