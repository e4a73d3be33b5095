"""Rows of the registry: judges that are no CLIP, and the remote one."""

from __future__ import annotations

from lib_optim.scoring import remote
from lib_optim.scoring.base import OptionRow, ScorerRow

__all__ = ["JUDGES"]

JUDGES: tuple[ScorerRow, ...] = (
    ScorerRow(
        id="remote",
        title="Remote scorer",
        measures="What a program at an address of yours says: a judge in its own environment, here or elsewhere.",
        fooled_by="Whatever fools that judge; and images and prompts go to that address.",
        reads_prompt=True,
        typical=(0.0, 1.0),
        licence="as the other side's weights say",
        memory=0,
        weights=(),
        packages=(),
        options=(
            OptionRow("url", "Its address, such as http://127.0.0.1:7870", "text", "", required=True),
            OptionRow("options", "Options for it, as JSON", "text", ""),
            OptionRow("k", "Caution: score minus k times its uncertainty", "number", 0.0),
            OptionRow("bad", "Its score of a bad image (empty: as it says)", "number", None),
            OptionRow("good", "Its score of a good image (empty: as it says)", "number", None),
            OptionRow("timeout", "Seconds to wait for an answer", "number", 120.0),
            OptionRow("retries", "How often to ask again", "number", 2),
        ),
        build=remote.build,
        devices=("cpu",),
        check=remote.check,
    ),
)
