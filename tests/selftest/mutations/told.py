"""Statements 27 to 30: what is told and put back."""

from __future__ import annotations

import contextlib
from typing import Any

from tests.selftest.mutations.registry import Patch, breaks


@breaks(27, "one trial", hosts=("a1111", "forge"))
def infotext_not_stamped(patch: Patch) -> None:
    from lib_optim.hosts.webui.host import WebuiHost

    patch.setattr(WebuiHost, "_truth", lambda self, stamp: {})


@breaks(27, "one trial", hosts=("a1111", "forge"))
def hash_of_the_merge_stays(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import model as a1111
    from lib_optim.hosts.forge import model as forge

    for cls in (a1111.A1111Model, forge.ForgeModel):

        @contextlib.contextmanager
        def shown(self: Any) -> Any:
            self._anchor.sd_model_hash = "optim merge"
            yield

        patch.setattr(cls, "shown", shown)


@breaks(27, "one trial", hosts=("standalone",))
def infotext_not_stamped_standalone(patch: Patch) -> None:
    from lib_optim.hosts.standalone import host

    original = host.infotext_of
    patch.setattr(host, "infotext_of", lambda *arguments: original(*arguments[:-1], {}))


@breaks(27, "a run", hosts=("a1111",))
def png_without_infotext(patch: Patch) -> None:
    from lib_optim.run import trial

    original = trial.write_image
    patch.setattr(trial, "write_image", lambda folder, file, image, infotext: original(folder, file, image, ""))


@breaks(28, "steps of an image", hosts=("standalone", "a1111", "forge"))
def progress_stands_still(patch: Patch) -> None:
    from lib_optim.hosts.base import GenerationProgress
    from lib_optim.hosts.standalone.host import StandaloneHost
    from lib_optim.hosts.webui.host import WebuiHost

    for cls in (StandaloneHost, WebuiHost):
        patch.setattr(cls, "progress", lambda self: GenerationProgress(1, 20))


@breaks(28, "live preview", hosts=("a1111", "forge"))
def preview_is_no_image(patch: Patch) -> None:
    from lib_optim.hosts.webui.jobs import JobDesk

    patch.setattr(JobDesk, "_encoded", lambda self, image, number: b"no image")


@breaks(28, "a run", hosts=("a1111",))
def page_is_not_told(patch: Patch) -> None:
    from lib_optim.run.view import RunView

    patch.setattr(RunView, "set_current", lambda self, number, image=0: None)


@breaks(28, "memory", hosts=("a1111",))
def every_trial_keeps_a_copy(patch: Patch) -> None:
    import torch

    from lib_optim.hosts.live import TableSession

    kept: list[Any] = []
    original = TableSession._put_back

    def put_back(self: Any, weights: Any) -> None:
        kept.append(torch.zeros(100_000))
        original(self, weights)

    patch.setattr(TableSession, "_put_back", put_back)


@breaks(29, "nothing loaded", hosts=("standalone", "a1111", "forge"))
def nothing_loaded_is_a_surprise(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import host as a1111
    from lib_optim.hosts.forge import host as forge
    from lib_optim.hosts.probe import probe_of
    from lib_optim.hosts.standalone import host as standalone

    for cls in (a1111.A1111Host, forge.ForgeHost, standalone.StandaloneHost):
        original, loads = cls.load, []

        def load(self: Any, checkpoint: Any, original: Any = original, loads: list[int] = loads) -> None:
            loads.append(1)
            if len(loads) > 1 and probe_of(self).model() is None:
                raise AttributeError("'NoneType' object has no attribute 'sd_checkpoint_info'")
            original(self, checkpoint)

        patch.setattr(cls, "load", load)


@breaks(29, "failed load", hosts=("standalone", "a1111", "forge"))
def failed_loads_say_nothing(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import host as a1111
    from lib_optim.hosts.forge import host as forge
    from lib_optim.hosts.standalone import host as standalone
    from lib_optim.plan.errors import HostError

    for cls in (a1111.A1111Host, forge.ForgeHost, standalone.StandaloneHost):
        original = cls.load

        def load(self: Any, checkpoint: Any, original: Any = original) -> None:
            with contextlib.suppress(HostError):
                original(self, checkpoint)

        patch.setattr(cls, "load", load)


@breaks(29, "failed load")
def hijack_left_out_after_a_failed_load(patch: Patch) -> None:
    from lib_optim.hosts.a1111.host import A1111Host

    never = property(lambda self: False, lambda self, value: None)
    patch.setattr(A1111Host, "_torn", never, raising=False)


@breaks(30, "settings", hosts=("a1111", "forge"))
def settings_not_put_back(patch: Patch) -> None:
    from lib_optim.hosts.webui import host

    @contextlib.contextmanager
    def kept(values: Any) -> Any:
        yield

    patch.setattr(host, "kept", kept)


@breaks(30, "selection", hosts=("standalone", "a1111", "forge"))
def selection_not_put_back(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import host as a1111
    from lib_optim.hosts.forge import host as forge
    from lib_optim.hosts.standalone import host as standalone

    for cls in (a1111.A1111Host, forge.ForgeHost, standalone.StandaloneHost):
        patch.setattr(cls, "restore", lambda self, state: None)
