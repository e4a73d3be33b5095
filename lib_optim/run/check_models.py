"""Which models fit each other and the host: named before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lib_optim.hosts.base import Host
from lib_optim.plan.adapters import adapter_of, adapter_title, fit_of
from lib_optim.plan.architectures import ARCHITECTURES, Architecture, architecture_of
from lib_optim.plan.blocks import BlockMap
from lib_optim.plan.errors import CheckpointError, Problem
from lib_optim.plan.header import CheckpointHeader
from lib_optim.plan.space import Space
from lib_optim.plan.storage import in_channels, quantisation_of

__all__ = ["architecture_for", "shape_problems"]


def architecture_for(headers: Sequence[CheckpointHeader], host: Host, problems: list[Problem]) -> Architecture | None:
    """Return the architecture of all models, or None where a problem prevents it.

    Args:
        headers: Model A first; LoRAs may follow.
        host: Where the merge is shown.
        problems: Gets a sentence per problem.
    """
    before = len(problems)
    found: list[tuple[CheckpointHeader, Architecture]] = []
    adapters = []
    for i, header in enumerate(headers):
        where = f"models[{i}]"
        name = header.path.name
        try:
            adapter = adapter_of(header)
            if adapter is not None and i == 0:
                problems.append(
                    Problem(
                        where,
                        f"{name} is a {adapter_title(adapter)}, which cannot be model A; choose a checkpoint as model "
                        "A, and the LoRA as one of the others.",
                    )
                )
            elif adapter is not None:
                adapters.append((where, adapter))
            elif quantised := quantisation_of(header):
                problems.append(
                    Problem(
                        where,
                        f"{name} is quantised ({quantised}), so its numbers cannot be merged; choose the fp16, bf16 or "
                        "fp32 file of this model.",
                    )
                )
            else:
                found.append((header, architecture_of(header, whole=i == 0)))
        except CheckpointError as error:
            problems.append(Problem(where, str(error)))
    if len(problems) > before:
        return None
    if len({architecture.id for _, architecture in found}) > 1:
        listed = ", ".join(f"{h.path.name} is {a.title}" for h, a in found)
        problems.append(Problem("models", f"Models of different architectures cannot be merged: {listed}."))
        return None
    base, architecture = found[0]
    able = host.capabilities().architectures
    if architecture.block_map is None or architecture.id not in able:
        supported = dict.fromkeys(row.title for row in ARCHITECTURES if row.id in able and row.block_map)
        problems.append(
            Problem(
                "models",
                f"{base.path.name} is {architecture.title}, which Optim cannot merge in {host.title} yet; it can "
                f"merge {' and '.join(supported)}.",
            )
        )
        return None
    for where, adapter in adapters:
        fit = fit_of(adapter, {key: info.shape for key, info in base.tensors.items()})
        problems.extend(Problem(where, sentence) for sentence in fit.problems(base.path.name, architecture.id))
    channels = in_channels(base)
    if channels is not None and channels != 4 and len(problems) == before:
        problems.append(
            Problem(
                "models[0]",
                f"{base.path.name} is {_kind(channels)}, which needs a picture to start from, while Optim judges "
                "pictures made from text; choose an ordinary model as model A.",
            )
        )
    return architecture if len(problems) == before else None


def shape_problems(headers: Sequence[CheckpointHeader], blocks: BlockMap, space: Space) -> Iterator[Problem]:
    """Yield one problem per model whose tensors differ from A's in shape, in blocks that are merged."""
    base = headers[0]
    ours = in_channels(base)
    for i, header in enumerate(headers[1:], 1):
        if adapter_of(header) is not None:
            continue
        for key, info in base.tensors.items():
            block = blocks.block_of(key)
            other = header.tensors.get(key)
            if block not in space.merged_blocks or other is None or other.shape == info.shape:
                continue
            theirs = in_channels(header)
            if theirs is not None and theirs != ours:
                yield Problem(
                    f"models[{i}]",
                    f"{header.path.name} is {_kind(theirs)} and {base.path.name} is {_kind(ours)}, so block {block} "
                    f"cannot be merged; leave {block} out, or choose the ordinary model.",
                )
            else:
                yield Problem(
                    f"models[{i}]",
                    f"{header.path.name} and {base.path.name} differ in the shape of '{key}' ({_times(other.shape)} "
                    f"and {_times(info.shape)}); choose models of one kind or leave block {block} out.",
                )
            break


def _kind(channels: int | None) -> str:
    named = {4: "an ordinary model", 8: "an instruct-pix2pix model", 9: "an inpainting model", 5: "a depth model"}
    return f"{named.get(channels or 0, 'a model')} ({channels} channels)"


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape) or "a single number"
