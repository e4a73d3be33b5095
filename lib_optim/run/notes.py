"""What the user should know about the models before Start, and what the merge does about each: one row per matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lib_optim.merging.memory import memory_plan
from lib_optim.plan.adapters import Adapter, adapter_of, fit_of
from lib_optim.plan.header import CheckpointHeader
from lib_optim.plan.storage import EMA, SCHEDULE, main_dtype, prediction_of

if TYPE_CHECKING:
    from lib_optim.run.check import Resolved

__all__ = ["ROWS", "Note", "notes_of"]

_WORDS = {"unet": "UNet", "text_encoder": "text encoder", "vae": "VAE"}


@dataclass(frozen=True)
class Note:
    """One sentence. `kind` is ``warning`` for what may spoil the merge, ``note`` for what merely is so."""

    kind: Literal["warning", "note"]
    sentence: str


@dataclass(frozen=True)
class _Model:
    letter: str
    header: CheckpointHeader
    adapter: Adapter | None

    @property
    def name(self) -> str:
        return f"{self.letter} ({self.header.path.name})"


def notes_of(resolved: Resolved) -> tuple[Note, ...]:
    """Return every note, warnings first. Reads headers only."""
    models = [
        _Model(chr(ord("A") + i % 26), header, adapter_of(header) if i else None)
        for i, header in enumerate(resolved.headers)
    ]
    notes = [note for row in ROWS for note in row(resolved, models)]
    return tuple(sorted(notes, key=lambda note: note.kind != "warning"))


Row = Callable[["Resolved", Sequence[_Model]], Iterator[Note]]


def _missing(resolved: Resolved, models: Sequence[_Model]) -> Iterator[Note]:
    base, merged = resolved.headers[0].tensors, resolved.space.merged_blocks
    for model in models[1:]:
        if model.adapter is not None:
            continue
        have = {resolved.architecture.component_of(key) for key in model.header.tensors}
        absent = [component for component in resolved.blocks.components if component in resolved.components - have]
        for component in absent:
            yield Note("warning", f"{model.name} holds no {_WORDS[component]}; there the merge keeps that of A.")
        keys = [
            key
            for key in base
            if resolved.blocks.block_of(key) in merged
            and resolved.architecture.component_of(key) not in absent
            and key not in model.header.tensors
            and not key.endswith("position_ids")
        ]
        if keys:
            yield Note(
                "warning",
                f"{model.header.path.name} lacks {len(keys)} of the merged tensors (such as {keys[0]}); there the "
                f"merge keeps those of {resolved.models[0].name}.",
            )


def _predictions(_: Resolved, models: Sequence[_Model]) -> Iterator[Note]:
    whole = [model for model in models if model.adapter is None]
    (ours, zero), rest = prediction_of(whole[0].header), whole[1:]
    for model in rest:
        theirs, their_zero = prediction_of(model.header)
        if theirs != ours:
            yield Note(
                "warning",
                f"{model.name} predicts {theirs} and A predicts {ours}: their UNets mean different things by the same "
                f"numbers, and averages of them rarely make pictures. The merge is used and saved as one that predicts "
                f"{ours}.",
            )
        elif their_zero != zero:
            which = "A" if zero else model.letter
            yield Note(
                "warning",
                f"Only {which} was trained to zero terminal noise (ztsnr). The merge is used and saved like A: "
                f"{'with' if zero else 'without'} it.",
            )
    if ours == "velocity" or zero:
        marks = " and ".join(word for word, on in (("v_pred", ours == "velocity"), ("ztsnr", zero)) if on)
        yield Note("note", f"A predicts {ours}; its marks ({marks}) are kept in the saved file.")


def _ema(resolved: Resolved, models: Sequence[_Model]) -> Iterator[Note]:
    for model in models:
        if any(key.startswith(EMA) for key in model.header.tensors):
            if model.letter != "A":
                fate = "they are ignored"
            elif resolved.plan.save.pruned:
                fate = "they are left out of the saved file"
            else:
                fate = "they stay in the saved file as they are; save it pruned to leave them out"
            yield Note(
                "note", f"{model.name} holds EMA copies of its UNet: the merge takes the live weights, and {fate}."
            )


def _pruned(_: Resolved, models: Sequence[_Model]) -> Iterator[Note]:
    whole = [model for model in models if model.adapter is None]
    pruned = [model for model in whole if SCHEDULE not in model.header.tensors]
    if 0 < len(pruned) < len(whole):
        names = " and ".join(model.name for model in pruned)
        told = "as A has none" if whole[0] in pruned else "A's is kept"
        yield Note("note", f"Pruned, without the noise schedule of the training: {names}; the file follows A ({told}).")


def _precision(resolved: Resolved, models: Sequence[_Model]) -> Iterator[Note]:
    kinds = {model.letter: main_dtype(model.header) for model in models if model.adapter is None}
    for letter, kind in kinds.items():
        if kind.startswith("fp8"):
            yield Note(
                "warning",
                f"{letter} stores its weights as {kind}: what that rounding took away stays lost. The merge computes "
                "with them in fp32.",
            )
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{letter} {kind}" for letter, kind in kinds.items())
        yield Note(
            "note",
            f"The models differ in precision ({listed}); the merge computes in fp32 and is saved as "
            f"{resolved.plan.save.dtype}.",
        )


def _positions(resolved: Resolved, models: Sequence[_Model]) -> Iterator[Note]:
    for model in models:
        broken = [
            k for k, t in model.header.tensors.items() if k.endswith("position_ids") and t.dtype.startswith(("F", "BF"))
        ]
        if broken:
            told = "they are repaired in the saved file" if resolved.plan.save.fix_clip else "they stay as they are"
            yield Note(
                "note",
                f"{model.name} stores CLIP's position ids as fractions, as older merge tools did; they are never "
                f"merged, and {told if model.letter == 'A' else 'those of A are kept'}.",
            )


def _memory(resolved: Resolved, _: Sequence[_Model]) -> Iterator[Note]:
    r = resolved
    plan = memory_plan(r.method, r.models, r.architecture, r.blocks, r.space, r.headers[0])
    if plan.wanted:
        size = f"{plan.wanted / 1e9:.1f} GB" if plan.wanted >= 50_000_000 else f"{plan.wanted / 1e6:.1f} MB"
        sentence = f"What no searched value touches is computed once and kept in memory ({size})"
        if plan.wanted > plan.allowed:
            sentence += (
                f", as far as there is room: {plan.allowed / 1e9:.1f} GB are half of what is free now, and the rest is "
                "computed again in every trial"
            )
        yield Note("note", sentence + ".")


def _loras(resolved: Resolved, models: Sequence[_Model]) -> Iterator[Note]:
    shapes = {key: info.shape for key, info in resolved.headers[0].tensors.items()}
    for model in models[1:]:
        if model.adapter is None:
            continue
        fit = fit_of(model.adapter, shapes)
        merged = [key for key in fit.targets if resolved.blocks.block_of(key) in resolved.space.merged_blocks]
        yield Note(
            "note",
            f"{model.name} is a {model.adapter.kind}: as model {model.letter} it stands for A with it added at full "
            f"strength. It changes {len(merged)} of the merged tensors.",
        )
        idle = {resolved.architecture.component_of(key) for key in fit.targets} - resolved.components
        for component in sorted(str(component) for component in idle):
            yield Note("warning", f"{model.letter} also changes the {_WORDS[component]}, which is not merged here.")
        if fit.unknown:
            yield Note(
                "warning",
                f"{len(fit.unknown)} of the {len(model.adapter.modules)} modules of {model.name}, such as "
                f"{fit.unknown[0]}, have no counterpart in A and are left out.",
            )


ROWS: tuple[Row, ...] = (_missing, _predictions, _precision, _loras, _ema, _pruned, _positions, _memory)
"""Each looks at one matter."""
