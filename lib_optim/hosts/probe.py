"""What users and other clients of a host do while Optim runs, for the conformance suite only.

The Host protocol says what Optim does. To show that it withstands what *others* do at the same time (choose another
checkpoint, ask for an image, reload the model, press Interrupt), the suite has to do those things, and each host has
its own way. A host package may therefore hold a module ``probe`` with a class ``Probe(HostProbe)``; what it does not
override is reported as ``skipped``, with the reason given here.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from lib_optim.plan.payload import ImageJob

if TYPE_CHECKING:
    import torch

    from lib_optim.hosts.base import Checkpoint, GeneratedImage, Host

__all__ = ["HostProbe", "Unavailable", "probe_of"]


class Unavailable(Exception):
    """This host has no such thing, or no way to do it here. ``str(error)`` is the reason."""


class HostProbe:
    """Actions of others on a host. Every default raises `Unavailable`."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def can(self, name: str) -> bool:
        """Tell whether this host's probe has the method `name`."""
        return getattr(type(self), name) is not getattr(HostProbe, name)

    def live_tensors(self) -> Mapping[str, torch.Tensor]:
        """Return the floating tensors of UNet, text encoder and VAE, under the host's names. Under `exclusive`.

        Read past the adapter: from the modules that the host computes with, found anew at each call.
        """
        raise Unavailable("this host does not show its tensors to the self-test")

    def model(self) -> object:
        """Return the loaded model object, to tell a new one from the old."""
        raise Unavailable("this host does not show its model to the self-test")

    def choose(self, checkpoint: Checkpoint) -> None:
        """Choose `checkpoint` as a user does in the dropdown or by the options route.

        Never called under `exclusive`; may wait for it, so call it on a thread of its own.
        """
        raise Unavailable("nobody but Optim can choose a checkpoint in this host")

    def chosen(self) -> str:
        """Return the title of the checkpoint that the user has chosen, loaded or not."""
        raise Unavailable("nobody but Optim can choose a checkpoint in this host")

    def request(self, job: ImageJob) -> GeneratedImage:
        """Make an image as another client's txt2img does: waits for the host's own lock, knows nothing of Optim."""
        raise Unavailable("this host has no other clients")

    def as_started(self) -> None:
        """After a load: have the model as if the host had been started with it. Under `exclusive`.

        A1111 computes the conditioning of the empty prompt at the first load only, and keeps the former checkpoint's.
        """

    def keeping_settings(self) -> AbstractContextManager[None]:
        """Put every setting back afterwards. Enter and leave under `exclusive`."""
        return contextlib.nullcontext()

    def new_model(self) -> None:
        """Have the host read the loaded checkpoint from disk again, as a change of settings does. Under `exclusive`."""
        raise Unavailable("this host never loads a model anew by itself")

    def vae_override(self, path: Path) -> AbstractContextManager[None]:
        """Select the VAE file `path` as a user does, afterwards the former one. Enter and leave under `exclusive`."""
        raise Unavailable("this host has no choice of VAE")

    def embeddings_folder(self) -> Path:
        """Return the folder of textual inversions."""
        raise Unavailable("this host has no textual inversion")

    def reload_embeddings(self) -> None:
        """Look at the folder of textual inversions again. Under `exclusive`."""
        raise Unavailable("this host has no textual inversion")

    def quantised(self) -> AbstractContextManager[None]:
        """Make the loaded model look as if it were stored in nf4, gguf or the like. Under `exclusive`."""
        raise Unavailable("this host does not quantise models")

    def failing_generation(self, sentence: str) -> AbstractContextManager[None]:
        """Make the host's own image pipeline raise ``RuntimeError(sentence)``. Under `exclusive`."""
        raise Unavailable("the self-test cannot make this host's generation fail")

    def settings(self) -> Mapping[str, str]:
        """Return every setting of the host and the digest of its settings file, as text."""
        raise Unavailable("this host has no settings")

    def kept_models(self, count: int) -> AbstractContextManager[None]:
        """Let the host keep `count` models in memory. Enter and leave under `exclusive`."""
        raise Unavailable("this host keeps one model at a time")

    def main_thread_delay(self, patience: float) -> float:
        """Return the seconds until the host's main thread has run an empty task, at most `patience`."""
        raise Unavailable("this host gives its main thread no tasks")

    def flags(self) -> tuple[str, ...]:
        """Return the names of the host's stop and skip flags that are set now."""
        return ()

    def press_interrupt(self) -> None:
        """Press the host's own Interrupt button."""
        raise Unavailable("this host has no Interrupt button of its own")

    def press_skip(self) -> None:
        """Press the host's own Skip button."""
        raise Unavailable("this host has no Skip button of its own")

    def no_model(self) -> AbstractContextManager[None]:
        """Unload the model, as before first use; afterwards it is loaded again. Under `exclusive`."""
        raise Unavailable("this host cannot unload its model")


def probe_of(host: Host) -> HostProbe:
    """Return the probe of `host`: class ``Probe`` in the module ``probe`` beside its adapter, or one without powers."""
    for cls in type(host).__mro__:
        name = cls.__module__.rpartition(".")[0] + ".probe"
        if name.count(".") >= 2 and importlib.util.find_spec(name) is not None:
            probe: HostProbe = importlib.import_module(name).Probe(host)
            return probe
    return HostProbe(host)
