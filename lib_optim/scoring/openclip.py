"""The host's open_clip (2.20 in A1111 and Forge, 3.x elsewhere), as far as Optim uses it: networks and tokenizer.

Its transforms and its downloads stay unused: the first need torchvision, the second cannot be cancelled.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import threading
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.nearest import did_you_mean

if TYPE_CHECKING:
    import torch

__all__ = [
    "architecture",
    "build_network",
    "load_open_clip",
    "materialise",
    "model_config",
    "model_problem",
    "own_layout",
    "tokenize",
]

_PACKAGE = "open_clip"
_QUICK = "-quickgelu"
_lock = threading.Lock()


def load_open_clip() -> Any:
    """Import and return ``open_clip``, with or without torchvision.

    Raises:
        ScorerError: It is not installed, or cannot be imported; says why.
    """
    with _lock:
        try:
            if _PACKAGE not in sys.modules and importlib.util.find_spec("torchvision") is None:
                # Before the stand-ins are there: transformers asks at its import whether torchvision is.
                with contextlib.suppress(ImportError):
                    importlib.import_module("transformers")
                with _torchvision_stand_ins():
                    return importlib.import_module(_PACKAGE)
            return importlib.import_module(_PACKAGE)
        except (ImportError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ScorerError(
                f"A CLIP scorer needs the package open_clip, which can't be imported here ({reason}): AUTOMATIC1111 "
                "and Forge bring it; elsewhere install open-clip-torch without its dependencies."
            ) from error


@contextlib.contextmanager
def _torchvision_stand_ins() -> Iterator[None]:
    """Names that open_clip imports from torchvision at its top and that its networks never call."""

    class Absent:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("torchvision is not installed")

    transforms = ("Normalize", "Compose", "RandomResizedCrop", "ToTensor", "Resize", "CenterCrop", "ColorJitter")
    names: dict[str, dict[str, Any]] = {
        "torchvision": {},
        "torchvision.transforms": {
            **dict.fromkeys((*transforms, "Grayscale"), Absent),
            "InterpolationMode": types.SimpleNamespace(BICUBIC="bicubic", BILINEAR="bilinear", NEAREST="nearest"),
        },
        "torchvision.transforms.functional": {},
        "torchvision.ops": {},
        "torchvision.ops.misc": {"FrozenBatchNorm2d": Absent},
    }
    for name, content in names.items():
        module = types.ModuleType(name)
        module.__dict__.update(content, __path__=[])
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)


def architecture(model: str) -> tuple[str, bool]:
    """Return open_clip's configuration name for `model` and whether its activation is QuickGELU on top of that.

    OpenAI's CLIP models, and some others, were trained with QuickGELU, which no weight tells. open_clip has a
    configuration ``…-quickgelu`` for some of them; here the ending works for all.
    """
    if model.endswith(_QUICK) and _config(model) is None:
        return model.removesuffix(_QUICK), True
    return model, False


def model_config(model: str) -> Mapping[str, Any] | None:
    """Return open_clip's configuration of `model`, without importing open_clip if it has not been, or None."""
    return _config(architecture(model)[0])


def _config(name: str) -> Mapping[str, Any] | None:
    if _PACKAGE in sys.modules:
        found = sys.modules[_PACKAGE].get_model_config(name)
        return dict(found) if found is not None else None
    folder = _config_folder()
    path = folder / f"{name}.json" if folder is not None else None
    return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else None


def model_problem(model: str) -> str:
    """Return why `model` cannot be used, one sentence, or an empty text. Does not import open_clip."""
    config = model_config(model)
    if config is None:
        folder = _config_folder()
        names = sorted(path.stem for path in folder.glob("*.json")) if folder is not None else []
        return f"'{model}' is not a model of the installed open_clip.{did_you_mean(model, names)}"
    text, vision = config.get("text_cfg", {}), config.get("vision_cfg", {})
    if "hf_model_name" in text or "hf_tokenizer_name" in text or "multimodal_cfg" in config:
        return f"{model} reads prompts with a tokenizer that open_clip does not bring along; choose a plain CLIP model."
    if "timm_model_name" in vision and importlib.util.find_spec("timm") is None:
        return f"{model} needs the package timm, which is not installed; choose a model such as ViT-B-32."
    return ""


def build_network(model: str, empty: bool = False) -> torch.nn.Module:
    """Return the network of `model` on the CPU, with random weights.

    Args:
        model: open_clip's name; ``-quickgelu`` at its end works for every architecture.
        empty: On the meta device instead: instant and without memory. See `materialise`.

    Raises:
        ScorerError: No such model, one that cannot be used, or open_clip cannot be imported.
    """
    import torch

    open_clip = load_open_clip()
    problem = model_problem(model)
    if problem:
        raise ScorerError(f"CLIP: {problem}")
    name, quick = architecture(model)
    device = "meta" if empty else "cpu"
    # open_clip 2.20 asks for a device without "meta" in mind, but does nothing that would not work there.
    with torch.device(device):
        return open_clip.create_model(name, pretrained=None, precision="fp32", device=device, force_quick_gelu=quick)


def materialise(network: torch.nn.Module) -> bool:
    """Give a network from `build_network(empty=True)` that was filled what no file has: its causal masks.

    Returns:
        Whether nothing is on the meta device any more.
    """
    import torch

    for module in network.modules():
        mask = getattr(module, "attn_mask", None)
        if isinstance(mask, torch.Tensor) and mask.is_meta:
            module.attn_mask = torch.full(mask.shape, float("-inf")).triu_(1)
    return not any(t.is_meta for t in (*network.parameters(), *network.buffers()))


def own_layout(tensors: Mapping[str, torch.Tensor], network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return `tensors` under the names of `network`: some models keep the text tower under ``text.``."""
    split = not hasattr(network, "positional_embedding")
    if split and "positional_embedding" in tensors:
        towers = ("visual.", "logit_scale", "logit_bias")
        return {n if n.startswith(towers) else f"text.{n}": t for n, t in tensors.items()}
    if not split and "text.positional_embedding" in tensors:
        return {name.removeprefix("text."): tensor for name, tensor in tensors.items()}
    return dict(tensors)


def tokenize(model: str, text: str) -> torch.Tensor:
    """Return CLIP's byte pair ids of `text`, shape (1, context length), int64; what is too long is cut."""
    open_clip = load_open_clip()
    name, _ = architecture(model)
    config = open_clip.get_model_config(name)
    length = int(config.get("text_cfg", {}).get("context_length", 77))
    return open_clip.get_tokenizer(name)([text], context_length=length)


def _config_folder() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) / "model_configs" if places else None
