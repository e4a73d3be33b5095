"""What others do to the standalone host, for the conformance suite."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lib_optim.hosts.base import Checkpoint, GeneratedImage
from lib_optim.hosts.probe import HostProbe, Unavailable
from lib_optim.hosts.standalone.parts import PARTS
from lib_optim.plan.payload import ImageJob

if TYPE_CHECKING:
    import torch

    from lib_optim.hosts.standalone.host import StandaloneHost
    from lib_optim.hosts.standalone.model import LoadedModel

__all__ = ["Probe"]


class Probe(HostProbe):
    """See ``hosts.probe.HostProbe``."""

    host: StandaloneHost

    def live_tensors(self) -> Mapping[str, torch.Tensor]:
        """Return the parameters of all parts; names begin with the component."""
        model = self._loaded()
        return {
            f"{part.component}/{part.name}.{name}": parameter
            for part in PARTS[model.architecture.id]
            for name, parameter in model.modules[part.name].named_parameters(remove_duplicate=False)
        }

    def model(self) -> object:
        """Return the `LoadedModel`."""
        return self.host.model()

    def choose(self, checkpoint: Checkpoint) -> None:
        """Load it, as a user would."""
        self.host.choose(checkpoint)

    def chosen(self) -> str:
        """Return the title of what is loaded: choosing is loading here."""
        return self.host.state().checkpoint or ""

    def request(self, job: ImageJob) -> GeneratedImage:
        """Do what a txt2img route does; its images carry no infotext."""
        fields = {f: getattr(job.payload, f) for f in ("prompt", "negative_prompt", "steps", "width", "height")}
        return GeneratedImage(self.host.txt2img({**fields, "seed": job.seed}), "")

    def new_model(self) -> None:
        """Read the checkpoint again into a new object."""
        checkpoint = self._loaded().checkpoint
        self._forget()
        self.host.load(checkpoint)

    @contextlib.contextmanager
    def failing_generation(self, sentence: str) -> Iterator[None]:
        """Replace the pipeline's one function."""
        from lib_optim.hosts.standalone import pipeline

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError(sentence)

        before = pipeline.generate_image
        pipeline.generate_image = fail  # type: ignore[assignment]
        try:
            yield
        finally:
            pipeline.generate_image = before

    def press_interrupt(self) -> None:
        """Press it."""
        self.host.press_interrupt()

    def press_skip(self) -> None:
        """Press it."""
        self.host.press_skip()

    @contextlib.contextmanager
    def no_model(self) -> Iterator[None]:
        """Be as before the first load."""
        checkpoint = self._loaded().checkpoint
        self._forget()
        try:
            yield
        finally:
            self.host.load(checkpoint)

    def _forget(self) -> None:
        self.host._model = None

    def _loaded(self) -> LoadedModel:
        model = self.host.model()
        if model is None:
            raise Unavailable("nothing is loaded")
        return model
