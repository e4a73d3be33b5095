"""The guide: which blocks are merged, which of their parameters are searched, and within which bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lib_optim.plan.bounds import Bound
from lib_optim.plan.curves import CurveShape
from lib_optim.plan.noun import Noun

__all__ = ["ComponentGuide", "Curve", "Group", "Guide", "Strategy"]


@dataclass(frozen=True)
class Group(Noun):
    """Blocks that share one value. `blocks` are names, wildcards (``IN*``) or ranges (``IN00-IN05``), or tensors:
    a key, a wildcard over keys (``*.attn1.*``), or one within blocks (``OUT03-OUT06/*attn1*``).

    Groups of the same name share one value, in different components too.
    """

    name: str
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Curve(Noun):
    """Values over depth instead of one value: what is searched are a few control points (`lib_optim.plan.curves`).

    Attributes:
        points: How many, 2 to 8, spread from the first block to the last.
        shape: What runs through them.
    """

    points: int = 4
    shape: CurveShape = "smooth"

    def __str__(self) -> str:
        return f"curve {self.points} {self.shape}"


@dataclass(frozen=True)
class Strategy(Noun):
    """How blocks of a component become parameters.

    Attributes:
        type: ``all``: one parameter per block that no other strategy took ("the rest"). ``select``: one per
            block that matches `blocks`. ``group``: one per entry of `groups`. ``single``: one for all
            blocks that match `blocks` (all of them if empty). ``none``: not merged; kept from the base.
        blocks: Names, wildcards or ranges, for ``select``, ``single`` and ``none``; tensors as in `Group`. A tensor
            that a strategy names leaves its block (`lib_optim.plan.refine`).
        groups: For ``group``.
        parameters: Method parameters it concerns; empty means those the method marks as searched.
        curve: For ``single`` and ``group``: the blocks (of each group) lie on a curve, whose points are searched.
    """

    type: Literal["all", "select", "group", "single", "none"]
    blocks: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    parameters: tuple[str, ...] = ()
    curve: Curve | None = None


@dataclass(frozen=True)
class ComponentGuide(Noun):
    """The strategies for one component, applied in order; the first that names a block gets it."""

    component: str
    strategies: tuple[Strategy, ...]


@dataclass(frozen=True)
class Guide(Noun):
    """What to vary.

    Attributes:
        components: Components left out are kept from the base.
        bounds: Parameter name (``IN05_alpha``), block, group or component name, a wildcard over these, or
            method parameter, to its bound. The most specific entry wins: exact parameter name, then block,
            group or component, then the longest wildcard, then method parameter. A method parameter that no
            strategy searches takes only a fixed value, from an entry that ends in its name.
    """

    components: tuple[ComponentGuide, ...]
    bounds: Mapping[str, Bound] = field(default_factory=dict)

    @staticmethod
    def per_block(text_encoder: bool = True) -> Guide:
        """The default: one weight per UNet block, and one for the text encoder."""
        unet = ComponentGuide("unet", (Strategy("all"),))
        return Guide((ComponentGuide("text_encoder", (Strategy("all"),)), unet) if text_encoder else (unet,))
