"""Statements 10 to 12: LoRAs."""

from __future__ import annotations

from typing import Any

from tests.selftest.mutations.registry import Patch, breaks


def _lora_stays(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import model as a1111
    from lib_optim.hosts.forge import model as forge

    patch.setattr(a1111, "take_out", lambda model: None)
    patch.setattr(forge.ForgeModel, "prepare", lambda self: setattr(self, "_maybe_baked", False))


@breaks(10, hosts=("a1111", "forge"))
@breaks(11, "LoRA before, none during", hosts=("a1111", "forge"))
def lora_not_taken_out(patch: Patch) -> None:
    _lora_stays(patch)


@breaks(11, "LoRA before, none during")
def lora_only_forgotten(patch: Patch) -> None:
    import networks

    patch.setattr(networks, "network_restore_weights_from_backup", lambda module: None)


@breaks(11, "none before, LoRA during", hosts=("a1111", "forge"))
def lora_prompts_lose_their_lora(patch: Patch) -> None:
    from lib_optim.hosts.webui.host import WebuiHost

    original = WebuiHost._process

    def process(self: Any, fields: Any, *more: Any) -> Any:
        prompt = fields["prompt"].partition("<lora:")[0].rstrip() if self._live else fields["prompt"]
        return original(self, {**fields, "prompt": prompt}, *more)

    patch.setattr(WebuiHost, "_process", process)


@breaks(12, hosts=("a1111", "forge"))
def lora_taken_out_once_only(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import model as a1111
    from lib_optim.hosts.forge import model as forge

    for cls in (a1111.A1111Model, forge.ForgeModel):
        original = cls.prepare

        def once(self: Any, original: Any = original) -> None:
            if not hasattr(self, "prepared_once"):
                original(self)
            self.prepared_once, self._maybe_baked = True, False

        patch.setattr(cls, "prepare", once)
