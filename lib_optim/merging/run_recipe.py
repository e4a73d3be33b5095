"""Running a recipe file through sd-mecha itself, with nothing of a run: the same checkpoint again, anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.merging.contents import check_vae_is_free, contents_of
from lib_optim.merging.fallback import quiet_progress
from lib_optim.merging.lora_recipe import place_loras
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.save import copy_config
from lib_optim.merging.sources import Source
from lib_optim.merging.writer import Writer, write_file
from lib_optim.plan.architectures import architecture_of
from lib_optim.plan.errors import CheckpointError, MergeError, OptimError
from lib_optim.plan.header import read_header
from lib_optim.plan.run_plan import SaveSpec

if TYPE_CHECKING:
    import torch

__all__ = ["recipe_text", "run_recipe"]

_METADATA = ("optim.recipe", "mecha_recipe")


def recipe_text(path: Path) -> str:
    """Return the recipe in a ``.mecha`` file, or in the metadata of a merged checkpoint.

    Raises:
        MergeError: There is none.
        CheckpointError: The checkpoint cannot be read.
    """
    if path.suffix == ".safetensors":
        metadata = read_header(path).metadata
        text = next((metadata[key] for key in _METADATA if key in metadata), None)
        if text is None:
            raise MergeError(f"{path.name} holds no recipe: it was not merged by Optim or sd-mecha.")
        return text
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise MergeError(f"{path} cannot be read as a recipe: {error}.") from error


def run_recipe(
    text: str,
    folders: Sequence[Path],
    target: Path,
    save: SaveSpec,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Merge as a recipe says, and save the result as `save_checkpoint` would.

    What the recipe does not merge comes from its fallback model, as in the recipes that Optim writes
    (``merge "fallback"`` at the end), else from the first model that it names.

    Args:
        text: A ``.mecha`` recipe.
        folders: Where the models lie, with their folders below.
        target: The file to write; its folder must exist.
        save: What it shall hold.
        progress: Called with (tensors done, tensors in all).

    Raises:
        MergeError: The recipe is broken, names an unknown method or a model that is not there; or as `write_file`.
        CheckpointError: A model or the VAE file cannot be read or does not fit.
    """
    if target.suffix != ".safetensors":
        raise MergeError(f"'{target.name}' does not end in .safetensors; give the checkpoint such a name.")
    root = _read(text)
    models = _models(root)
    if not models:
        raise MergeError("The recipe names no model; nothing can be merged.")
    for node in models:
        node.path = _found(node.path, folders)
    place_loras(root, lambda name: _found(name, folders))
    if any(target.exists() and target.samefile(node.path) for node in models):
        raise MergeError(f"{target.name} is one of the models of this recipe; save under another name.")
    body, base = _fallback(root) or (root, models[0])
    header = read_header(base.path)
    architecture = architecture_of(header)
    source = Source(base.path, architecture.mecha_config or "")
    contents = contents_of(header, architecture, save)
    others = contents.other_tensors()
    metadata = {
        "format": "pt",
        "optim.recipe": text,
        "sd_merge_recipe": json.dumps({"type": "optim-recipe", "dtype": save.dtype}),
    }

    def fill(writer: Writer) -> None:
        merged = _Merged(writer, source, set(contents.tensors) - set(others))
        if body is not base:
            _merge(body, merged)
        check_vae_is_free(save, merged.names)
        for name in writer.missing():
            writer.put(name, others[name]() if name in others else source.stored(name))

    try:
        with copy_config(base.path, target):
            write_file(target, contents.tensors, metadata, fill, progress)
    finally:
        source.close()
    return target


class _Merged:
    """Takes what sd-mecha merges, key by key, and hands it on under the names of the base's file."""

    def __init__(self, writer: Writer, source: Source, wanted: set[str]) -> None:
        self._writer, self._source, self._wanted = writer, source, wanted
        self.names: set[str] = set()

    def __setitem__(self, key: str, tensor: torch.Tensor) -> None:
        name = self._source.names.get(key)
        if name is None or not self._source.is_floating(key):
            return  # the recipe's text, position ids
        self.names.add(name)
        if name in self._wanted:
            self._writer.put(name, tensor.reshape(self._source.shape(key)))


def _read(text: str) -> Any:
    try:
        return sd_mecha().deserialize(text)
    except Exception as error:
        raise MergeError(f"The recipe cannot be read: {_words(error)}.") from error


def _merge(recipe: Any, output: _Merged) -> None:
    import torch

    try:
        sd_mecha().merge(
            recipe, merge_device="cpu", merge_dtype=torch.float32, output_device="cpu", output_dtype=None, threads=0,
            total_buffer_size=1 << 20, check_extra_keys=False, check_finite_output=False, omit_non_finite_inputs=False,
            tqdm=quiet_progress(), output=output,
        )  # fmt: skip
    except OptimError:
        raise
    except Exception as error:
        raise MergeError(f"sd-mecha could not merge this recipe: {_words(error)}.") from error


def _models(node: Any) -> list[Any]:
    """Return the nodes of model files, in the order of the recipe."""
    nodes = sd_mecha().recipe_nodes
    if isinstance(node, nodes.ModelRecipeNode):
        return [node]
    children: Sequence[Any] = ()
    if isinstance(node, nodes.MergeRecipeNode):
        children = (*node.bound_args.args, *node.bound_args.kwargs.values())
    elif isinstance(node, nodes.LiteralRecipeNode):
        children = [value for value in node.value_dict.values() if isinstance(value, nodes.RecipeNode)]
    return list({id(found): found for child in children for found in _models(child)}.values())


def _fallback(root: Any) -> tuple[Any, Any] | None:
    """Return what is merged and the model that everything else comes from, if the recipe ends that way."""
    nodes = sd_mecha().recipe_nodes
    if not isinstance(root, nodes.MergeRecipeNode) or root.merge_method.identifier != "fallback":
        return None
    body, default = root.bound_args.args
    return (body, default) if isinstance(default, nodes.ModelRecipeNode) else None


def _found(path: Path, folders: Sequence[Path]) -> Path:
    """Return the one file in `folders` that a recipe's model means.

    Raises:
        CheckpointError: There is none, or several.
    """
    if path.is_absolute() and path.is_file():
        return path
    direct = [folder / path for folder in folders if (folder / path).is_file()]
    below = [file for folder in folders for file in sorted(folder.rglob(path.name))]
    fitting = direct or [file for file in below if file.parts[-len(path.parts) :] == path.parts]
    found = list(dict.fromkeys(file.resolve() for file in fitting))
    if not found:
        places = " and ".join(map(str, folders)) or "no folder"
        raise CheckpointError(f"The recipe names the model {path}, which is not in {places}; put it there.")
    if len(found) > 1:
        raise CheckpointError(f"{path} is there {len(found)} times, as {found[0]} and {found[1]}; name fewer folders.")
    return found[0]


def _words(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__).rstrip(".")
