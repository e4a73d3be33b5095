"""Where each parameter sits in the model, for samplers that expect neighbouring blocks to want similar values."""

from __future__ import annotations

from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.space import Space

__all__ = ["DEPTHS", "depths_of"]

# User attribute of a study: {parameter: [kind, depth]}; only parameters of one kind are compared.
DEPTHS = "optim: depths"


def depths_of(space: Space, blocks: BlockMap) -> dict[str, tuple[str, float]]:
    """Return for every parameter its kind (component and method parameter) and its depth, 0 to 1.

    The depth is the mean of the block map's depths of its blocks; where the map gives none, its place in the order.
    """
    component = {block.name: block.component for block in blocks.blocks}
    depth = {block.name: block.depth for block in blocks.blocks}
    last = max(1, len(space.parameters) - 1)
    found = {}
    for place, parameter in enumerate(space.parameters):
        known = [d for d in (depth.get(name) for name in parameter.blocks) if d is not None]
        kind = f"{component.get(parameter.blocks[0], '')} {parameter.method_parameter}"
        found[parameter.name] = (kind, sum(known) / len(known) if known else place / last)
    return found
