"""LoRAs in A1111: baked into the weights of each layer, which keeps a backup of what it had."""

from __future__ import annotations

import sys
from typing import Any

from lib_optim.plan.errors import HostError

__all__ = ["take_out"]


def take_out(model: Any) -> None:
    """Put the weights under every baked LoRA back and make the layers forget it.

    Both halves matter: layers that keep the note restore an old backup over a merge at the next plain image; layers
    that only forget keep the LoRA for good where nothing is written. A LoRA still asked for is applied anew, to
    whatever weights are there, at the next image.

    Raises:
        HostError: A layer has a LoRA in it and the extension that could take it out is gone.
    """
    import torch

    networks = sys.modules.get("networks")
    restore = getattr(networks, "network_restore_weights_from_backup", None)
    with torch.no_grad():
        for module in model.modules():
            if not hasattr(module, "network_layer_name"):
                continue
            if getattr(module, "network_current_names", ()) != ():
                if restore is None:
                    raise HostError(
                        "A LoRA is baked into the model and A1111's Lora extension is gone; reload the checkpoint."
                    )
                restore(module)
            module.network_current_names = ()
            module.network_weights_backup = None
            module.network_bias_backup = None
