"""LoRA and LyCORIS files: recognised, and fitted to a checkpoint, from their headers alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lib_optim.plan.architectures import ARCHITECTURES
from lib_optim.plan.errors import CheckpointError
from lib_optim.plan.header import CheckpointHeader
from lib_optim.plan.lora_names import LoraTarget, lora_names

__all__ = ["KINDS", "Adapter", "Fit", "adapter_of", "adapter_title", "changes", "fit_of"]


KINDS: Mapping[str, tuple[str, ...]] = {
    "LoRA": ("lora_up.weight", "lora_down.weight"),
    "LoHa": ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
    "LoKr": ("lokr_w1", "lokr_w1_a", "lokr_w2", "lokr_w2_a"),
    "full difference": ("diff", "diff_b", "w_norm", "b_norm"),
    "IA3": ("on_input",),
}
"""Kind to the ends of names of which any marks it."""

_HELPERS = (
    "lora_mid.weight", "hada_t1", "hada_t2", "lokr_w1_b", "lokr_w2_b", "lokr_t2", "alpha", "weight", "bias", "scale",
)  # fmt: skip
_REFUSED = {
    "dora_scale": "DoRA, whose effect depends on the size of the weights that it meets",
    "oft_blocks": "OFT", "oft_diag": "OFT", "oft_R.weight": "OFT",
    "a1.weight": "GLoRA", "a2.weight": "GLoRA", "b1.weight": "GLoRA", "b2.weight": "GLoRA",
}  # fmt: skip
# PEFT's and diffusers' own spelling of the same thing.
_DOTTED = re.compile(
    r"(?:base_model\.model\.)?(unet|text_encoder|text_encoder_2|transformer)\.(.+)\."
    r"(lora_A|lora_B|lora\.down|lora\.up)(?:\.default)?\.weight"
)
_PARTS = {"unet": "unet", "text_encoder": "te", "text_encoder_2": "te2", "transformer": "transformer"}
_ENDS = {
    "lora_A": "lora_down.weight", "lora.down": "lora_down.weight",
    "lora_B": "lora_up.weight", "lora.up": "lora_up.weight",
}  # fmt: skip
# Architecture to what any of its LoRA's module names begins with; the first row that fits one of them decides.
_MARKS = (
    ("flux", r"(unet|transformer)_(double_blocks|single_blocks|single_transformer_blocks)_"),
    ("sd3", r"te3_|(unet|transformer)_(joint_blocks|transformer_blocks)_"),
    ("sdxl", r"te[12]_|unet_(label_emb|add_embedding)|unet_[a-z]+_block\w*transformer_blocks_[1-9]"),
    ("sd1", r"te_|unet_"),
)  # fmt: skip


@dataclass(frozen=True)
class Adapter:
    """A LoRA or LyCORIS file.

    Attributes:
        header: Of the file.
        kind: Key of `KINDS`; several joined with "+".
        architecture: Id of what it was made for: ``sd1``, ``sd2``, ``sdxl``, ``sd3`` or ``flux``.
        modules: Module (``unet_input_blocks_1_1_proj_in``) to end of name (``lora_up.weight``) to name in the file.
        plain: Whether every name is kohya's own, ``lora_`` and all.
    """

    header: CheckpointHeader
    kind: str
    architecture: str
    modules: Mapping[str, Mapping[str, str]]
    plain: bool

    def shape(self, module: str, end: str) -> tuple[int, ...]:
        """Return the shape of a tensor of `module`."""
        return self.header.tensors[self.modules[module][end]].shape


@dataclass(frozen=True)
class Fit:
    """How an adapter meets a checkpoint.

    Attributes:
        adapter: The adapter.
        targets: Key of the checkpoint to the (module, target) pairs that change it.
        unknown: Modules that have no counterpart there.
        wrong: Modules whose counterpart has another size.
    """

    adapter: Adapter
    targets: Mapping[str, tuple[tuple[str, LoraTarget], ...]]
    unknown: tuple[str, ...]
    wrong: tuple[str, ...]

    def problems(self, base: str, architecture: str) -> Iterator[str]:
        """Say why the adapter cannot be used on the checkpoint called `base`; one sentence at most.

        Args:
            base: File name of the checkpoint.
            architecture: Its id.
        """
        name = self.adapter.header.path.name
        # Whether it is for SD1 or SD2 shows only in sizes, and not in every LoRA.
        kin = {architecture, self.adapter.architecture} <= {"sd1", "sd2"}
        if not self.targets or not (kin or architecture == self.adapter.architecture):
            yield (
                f"{name} is a {adapter_title(self.adapter)} and does not fit {base}; choose a LoRA that was made for "
                "its architecture."
            )
        elif self.wrong:
            yield (
                f"{name} does not fit {base}: '{self.wrong[0]}' has another size there; choose a LoRA that was made "
                "for this kind of model."
            )


def adapter_of(header: CheckpointHeader) -> Adapter | None:
    """Return what `header` is as an adapter, or None if it is none.

    Raises:
        CheckpointError: An adapter that cannot be merged; names its kind.
    """
    ends = {end for row in KINDS.values() for end in row}
    modules: dict[str, dict[str, str]] = {}
    plain = True
    for name in header.tensors:
        module, end = _split(name)
        if module and (end in ends or end in _HELPERS or end in _REFUSED):
            plain = plain and name == f"lora_{module}.{end}"
            modules.setdefault(module, {})[end] = name
    present = {end for rows in modules.values() for end in rows}
    refused = sorted({title for end, title in _REFUSED.items() if end in present})
    if refused:
        raise CheckpointError(
            f"{header.path.name} is a LyCORIS file of the kind {' and '.join(refused)}, which Optim cannot merge; use "
            "a LoRA, LoHa, LoKr, IA3 or full difference, or a checkpoint into which it was baked."
        )
    kinds = [kind for kind, row in KINDS.items() if present.intersection(row)]
    if not kinds:
        return None
    modules = {module: rows for module, rows in modules.items() if set(rows) - {"alpha"}}
    architecture = _architecture(header, modules)
    if architecture is None:
        raise CheckpointError(
            f"{header.path.name} looks like a LoRA, but its names (such as '{next(iter(header.tensors))}') are those "
            "of no trainer that Optim knows; convert it to kohya's format."
        )
    if architecture == "sdxl":  # diffusers calls SDXL's first text encoder what it calls SD1's only one
        modules = {re.sub(r"^te_", "te1_", module): rows for module, rows in modules.items()}
    return Adapter(header, "+".join(kinds), architecture, modules, plain)


def fit_of(adapter: Adapter, tensors: Mapping[str, tuple[int, ...]]) -> Fit:
    """Return where `adapter` acts on a checkpoint.

    Args:
        adapter: The LoRA.
        tensors: Keys of the checkpoint and their shapes.
    """
    targets: dict[str, tuple[tuple[str, LoraTarget], ...]] = {}
    met: set[str] = set()
    wrong = []
    for key, shape in tensors.items():
        pairs = changes(adapter, key)
        for module, target in pairs:
            met.add(module)
            size = math.prod(shape) // (1 if target.part is None else 3)
            if not target.bias and _size(adapter, module) not in (None, size):
                wrong.append(module)
        if pairs:
            targets[key] = pairs
    unknown = [module for module in adapter.modules if module not in met]
    return Fit(adapter, targets, tuple(unknown), tuple(wrong))


def changes(adapter: Adapter, key: str) -> tuple[tuple[str, LoraTarget], ...]:
    """Return the modules that change the checkpoint's tensor `key`, and how."""
    return tuple(
        (module, target)
        for module, target in lora_names(key)
        if module in adapter.modules and _acts_on(adapter.modules[module], target)
    )


def _split(name: str) -> tuple[str, str]:
    """Return module and end of a tensor's name; ("", "") for what is no part of an adapter."""
    dotted = _DOTTED.fullmatch(name)
    if dotted:
        return f"{_PARTS[dotted[1]]}_{dotted[2].replace('.', '_')}", _ENDS[dotted[3]]
    module, _, end = name.partition(".")
    for prefix in ("lora_", "lycoris_"):
        if module.startswith(prefix):
            return module.removeprefix(prefix), end
    return "", ""


def _architecture(header: CheckpointHeader, modules: Mapping[str, Mapping[str, str]]) -> str | None:
    for architecture, pattern in _MARKS:
        if not any(re.match(pattern, module) for module in modules):
            continue
        if architecture != "sd1":
            return architecture
        widths = {
            header.tensors[ends["lora_down.weight"]].shape[1:2]
            for module, ends in modules.items()
            if module.endswith("attn2_to_k") and "lora_down.weight" in ends
        }
        return "sd2" if widths == {(1024,)} else "sd1"  # the width of SD2's text encoder
    return None


def _acts_on(ends: Mapping[str, str], target: LoraTarget) -> bool:
    if target.bias:
        return bool({"diff_b", "b_norm"} & set(ends))
    return bool(set(ends) - {"diff_b", "b_norm", "alpha", "scale"})


def _size(adapter: Adapter, module: str) -> int | None:
    """Return how many numbers a module's difference of weights has; None where that takes more than the header."""
    ends = adapter.modules[module]

    def shape(end: str) -> tuple[int, ...]:
        return adapter.shape(module, end)

    for end in ("diff", "w_norm"):
        if end in ends:
            return math.prod(shape(end))
    if {"lora_up.weight", "lora_down.weight"} <= set(ends):
        kernel = math.prod(shape("lora_mid.weight")[2:]) if "lora_mid.weight" in ends else 1
        return shape("lora_up.weight")[0] * math.prod(shape("lora_down.weight")[1:]) * kernel
    if {"hada_w1_a", "hada_w1_b"} <= set(ends):
        if "hada_t1" in ends:
            return shape("hada_w1_a")[1] * shape("hada_w1_b")[1] * math.prod(shape("hada_t1")[2:])
        return shape("hada_w1_a")[0] * math.prod(shape("hada_w1_b")[1:])
    return None


def adapter_title(adapter: Adapter) -> str:
    """Return what to call it: "LoRA for Stable Diffusion XL"."""
    title = next(row.title for row in ARCHITECTURES if row.id == adapter.architecture)
    return f"{adapter.kind} for {title}"
