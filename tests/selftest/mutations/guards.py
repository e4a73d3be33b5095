"""Statements 16 to 18, 24 to 26 and 29: what others do to the model."""

from __future__ import annotations

from typing import Any

from tests.selftest.mutations.caches import vae_override_not_looked_at
from tests.selftest.mutations.common import capture_unchecked, restore_skipped_by
from tests.selftest.mutations.locks import lock_released_before_restore
from tests.selftest.mutations.registry import Patch, breaks


@breaks(16, "one trial", hosts=("a1111", "forge"))
@breaks(16, "a run", hosts=("a1111", "forge"))
def choice_not_looked_at(patch: Patch) -> None:
    from lib_optim.hosts.a1111.model import A1111Model
    from lib_optim.hosts.forge.model import ForgeModel
    from lib_optim.hosts.originals import Originals

    for cls in (A1111Model, ForgeModel):
        patch.setattr(cls, "adopt", lambda self: False)
        patch.setattr(cls, "check_same", lambda self: None)
    patch.setattr(Originals, "check", lambda self, keys: None)
    patch.setattr(Originals, "capture", capture_unchecked(Originals.capture))


@breaks(16, "one trial", hosts=("a1111", "forge"))
def choice_taken_back(patch: Patch) -> None:
    from lib_optim.hosts.webui.session import WebuiSession

    original = WebuiSession._adopt

    def adopt(self: Any) -> None:
        from modules import sd_models, shared

        for info in sd_models.checkpoints_list.values():
            if info.name == "a.safetensors":
                shared.opts.data["sd_model_checkpoint"] = info.title
                if hasattr(sd_models.model_data, "forge_loading_parameters"):
                    sd_models.model_data.forge_loading_parameters = self.model._pin
        original(self)

    patch.setattr(WebuiSession, "_adopt", adopt)


@breaks(16, "one trial", hosts=("standalone",))
def choice_overwritten(patch: Patch) -> None:
    from lib_optim.hosts.standalone.session import _Live

    patch.setattr(_Live, "check_same", lambda self: setattr(self._host, "_model", self._model))


@breaks(17, hosts=("a1111", "forge"))
def list_entries_compared_by_identity(patch: Patch) -> None:
    from lib_optim.hosts.a1111.model import A1111Model
    from lib_optim.hosts.forge.model import ForgeModel
    from lib_optim.plan.errors import HostChanged

    def check(self: Any) -> None:
        from modules import sd_models

        seen = list(sd_models.checkpoints_list.values())
        if getattr(self, "seen", seen)[0] is not seen[0]:
            raise HostChanged("The list of checkpoints is another one.")
        self.seen = seen

    patch.setattr(A1111Model, "check_same", check)
    patch.setattr(ForgeModel, "check_same", check)


@breaks(18, hosts=("standalone", "forge"))
def stale_model_written(patch: Patch) -> None:
    from lib_optim.hosts.forge.model import ForgeModel
    from lib_optim.hosts.originals import Originals
    from lib_optim.hosts.standalone.session import _Live

    patch.setattr(ForgeModel, "adopt", lambda self: False)
    patch.setattr(ForgeModel, "check_same", lambda self: None)
    patch.setattr(_Live, "check_same", lambda self: None)
    patch.setattr(Originals, "check", lambda self, keys: None)


@breaks(24, hosts=("a1111", "forge"))
def quantised_models_accepted(patch: Patch) -> None:
    vae_override_not_looked_at(patch)


@breaks(25, hosts=("a1111", "forge"))
def reload_does_nothing(patch: Patch) -> None:
    from lib_optim.hosts.a1111.probe import Probe as A1111Probe
    from lib_optim.hosts.forge.probe import Probe as ForgeProbe
    from lib_optim.hosts.standalone.probe import Probe as StandaloneProbe

    for cls in (A1111Probe, ForgeProbe, StandaloneProbe):
        patch.setattr(cls, "new_model", lambda self: None)


@breaks(26, "between trials")
def kept_model_left_merged(patch: Patch) -> None:
    restore_skipped_by(patch)


@breaks(26, "a paused run")
def model_not_given_back_for_a_pause(patch: Patch) -> None:
    lock_released_before_restore(patch)
