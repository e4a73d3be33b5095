"""Finding out how a library makes its tensors of a checkpoint's."""

from __future__ import annotations

import pytest
import torch

from lib_optim.hosts.transforms import derive_table, identity_table
from lib_optim.plan.errors import HostError

SHAPES = {
    "plain": (4, 3),
    "square": (5, 5),
    "fused": (6, 4),
    "conv": (7, 2, 1, 1),
    "scale": (),
    "idle": (3,),
    "bias": (6,),
}
LIVE = {
    "a": (4, 3),
    "b": (5, 5),
    "q": (2, 4),
    "k": (2, 4),
    "v": (2, 4),
    "c": (7, 2),
    "s": (),
    "twin": (4, 3),
    "qb": (6,),
}


def convert(sd: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    fused = sd.pop("fused")
    return {
        "a": sd["plain"], "twin": sd["plain"].clone(), "b": sd["square"].t().contiguous(), "q": fused[:2].clone(),
        "k": fused[2:4], "v": fused[4:], "c": sd["conv"][:, :, 0, 0], "s": sd["scale"], "idle": sd["idle"],
        "qb": sd["bias"],
    }  # fmt: skip


def test_every_transform_is_found_and_undone() -> None:
    table = derive_table(SHAPES, convert, {**LIVE, "nowhere": (2,)})
    assert table.unmapped == ("idle",)
    assert table.unfed == ("nowhere",)
    values = {key: torch.randn(shape) for key, shape in SHAPES.items()}
    live = convert(dict(values))
    for key, target in table.targets():
        assert torch.equal(target.transform.apply(values[key]), live[target.name]), target
    for key, source in table.sources.items():
        for cover in source.covers():
            parts = [target.transform.undo(live[target.name]) for target in cover]
            assert torch.equal(torch.cat(parts).reshape(source.shape), values[key]), key
    assert [len(table.sources[key].covers()) for key in ("plain", "fused")] == [2, 1]
    assert [target.name for target in table.sources["fused"].covers()[0]] == ["q", "k", "v"]
    assert table.sources["square"].targets[0].transform.transposed


@pytest.mark.parametrize(
    "wrong",
    [
        lambda sd: {"a": sd["plain"].flip(0)},
        lambda sd: {"a": sd["plain"].flip(1)},
        lambda sd: {"a": sd["plain"] * 2},
        lambda sd: {"b": (sd["square"] + sd["square"].t()) / 2},
        lambda sd: {"a": sd["plain"].roll(1, 1)},
        lambda sd: {"q": sd["fused"][:2]},  # a part of the tensor goes nowhere
        lambda sd: {"a": sd["plain"].t()},  # another shape than the model's
    ],
)
def test_what_it_does_not_know_is_refused(wrong) -> None:
    with pytest.raises(HostError):
        derive_table(SHAPES, wrong, LIVE)


def test_the_table_of_a_host_that_only_renames() -> None:
    table = identity_table({"x": (2, 3), "y": (4,)}, {"x": ("live.x", "live.wrapped.x")})
    assert table.unmapped == ("y",)
    assert [t.name for t in table.sources["x"].targets] == ["live.x", "live.wrapped.x"]
    assert all(t.transform.identity for t in table.sources["x"].targets)
    assert table.only(lambda key: key == "y").sources == {}
