"""Rows of the registry: judges that are no CLIP, and the remote one."""

from __future__ import annotations

from lib_optim.scoring import across, background, remote
from lib_optim.scoring.base import OptionRow, ScorerRow

__all__ = ["JUDGES"]

JUDGES: tuple[ScorerRow, ...] = (
    ScorerRow(
        id="background",
        title="Background blackness",
        measures="A black background: how black the outer tenth of the picture is on all sides.",
        fooled_by="A black picture is perfect to it; a subject that reaches the edge counts as background.",
        reads_prompt=False,
        typical=(0.3, 1.0),
        licence="none needed (no weights)",
        memory=0,
        weights=(),
        packages=(),
        options=(),
        build=background.build,
        devices=("cpu",),
    ),
    ScorerRow(
        id="consistency",
        title="Consistency",
        measures="Images of one payload that look alike: same colours, edges and layout from seed to seed.",
        fooled_by="Equal or blank pictures are perfect to it; it knows no faces. Needs payloads of 2 images or more.",
        reads_prompt=False,
        typical=(0.5, 0.9),
        licence="none needed (no weights)",
        memory=0,
        weights=(),
        packages=(),
        options=(),
        build=across.build_consistency,
        devices=("cpu",),
        check=across.check,
        across=True,
    ),
    ScorerRow(
        id="diversity",
        title="Diversity",
        measures="Images of one payload that differ from seed to seed, in colours, edges and layout.",
        fooled_by="Broken pictures are diverse: use it beside a judge of quality. Needs payloads of 2 images or more.",
        reads_prompt=False,
        typical=(0.1, 0.5),
        licence="none needed (no weights)",
        memory=0,
        weights=(),
        packages=(),
        options=(),
        build=across.build_diversity,
        devices=("cpu",),
        check=across.check,
        across=True,
    ),
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
