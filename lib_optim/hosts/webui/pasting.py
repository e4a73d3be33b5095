"""Pictures that Optim made, pasted into the WebUI's own tabs."""

from __future__ import annotations

from typing import Any

from lib_optim.hosts.webui.host import HASH_MARK, MODEL_MARK

__all__ = ["without_the_merge"]


def without_the_merge(infotext: str, params: dict[str, Any]) -> None:
    """Take the merge's name and hash out of what is pasted: no checkpoint has them, so none must be asked for by them.

    Else the WebUI lists them under "Override settings", and then generates with the loaded model without a word.

    Args:
        infotext: The text; not needed.
        params: What the WebUI read in it, changed in place. Prompt, seed and all else stay.
    """
    del infotext
    if str(params.get("Model hash", "")).startswith(HASH_MARK):
        del params["Model hash"]
    if str(params.get("Model", "")).endswith(MODEL_MARK):
        del params["Model"]
