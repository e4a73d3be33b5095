"""Where each parameter sits in the model, for samplers that expect neighbouring blocks to want similar values."""

from __future__ import annotations

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.curves import places
from lib_optim.plan.space import Space

__all__ = ["DEPTHS", "depths_of"]

# User attribute of a study: {parameter: [kind, depth]}; only parameters of one kind are compared.
DEPTHS = "optim: depths"


def depths_of(space: Space, blocks: BlockMap) -> dict[str, tuple[str, float]]:
    """Return for every parameter its kind (component and method parameter) and its depth, 0 to 1.

    The depth is the mean of the block map's depths of its blocks; where the map gives none, its place in the order. The
    points of a curve over the blocks lie where the curve has them.
    """
    component = {block.name: block.component for block in blocks.blocks}
    depth = {block.name: block.depth for block in blocks.blocks}
    last = max(1, len(space.parameters) - 1)
    found = {}
    points = {
        name: place
        for curve in space.curves
        for name, place in zip(curve.points, places(curve.shape, len(curve.points)), strict=True)
    }
    for place, parameter in enumerate(space.parameters):
        known = [d for d in (depth.get(name) for name in parameter.blocks) if d is not None]
        first = parameter.blocks[0] if parameter.blocks else ""  # the choice of the method is in no block
        kind = f"{component.get(first, '')} {parameter.method_parameter}"
        at = sum(known) / len(known) if known else place / last
        if parameter.name in points:
            at = min(known) + points[parameter.name] * (max(known) - min(known))
        found[parameter.name] = (kind, at)
    return found
