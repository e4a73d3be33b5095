"""Saving a merge as a checkpoint: merged anew from the models' files, streamed, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lib_optim.merging.contents import check_vae_is_free, contents_of
from lib_optim.merging.hashing import legacy_hash, sha256_of
from lib_optim.merging.merger import Merger
from lib_optim.merging.writer import Writer, write_file
from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import Interrupted, MergeError
from lib_optim.plan.run_plan import SaveSpec

__all__ = ["copy_config", "save_checkpoint"]


def save_checkpoint(
    merger: Merger,
    values: Mapping[str, Value],
    path: Path,
    save: SaveSpec,
    metadata: Mapping[str, str],
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """Save the merge at one point of the space.

    The file holds the tensors of the base's file (see `SaveSpec` for what may be left out or replaced): merged ones
    from the merge, all others from the base, which so decides whether the result is a v-prediction model. Floating
    tensors of the UNet, the text encoder and the VAE are stored in the dtype that `save` names; the rest (noise
    schedule, EMA copies, position ids) stays as it is in the base, since rounding it would change images. A ``.yaml``
    beside the base, from which the WebUIs read a model's configuration, is copied beside the result. Memory: a few
    tensors.

    Args:
        merger: Open on the models; its precision should be the dtype that `save` names.
        values: One value per parameter of the space.
        path: The file to write, ``.safetensors``; its folder must exist. An older file is replaced at the end.
        save: What the file holds.
        metadata: Added to the file's metadata, beside ``sd_merge_recipe`` and ``sd_merge_models`` (as AUTOMATIC1111
            writes them), ``optim.recipe`` (sd-mecha's text) and ``format``.
        progress: Called with (tensors done, tensors in all).
        cancelled: Asked before every tensor.

    Returns:
        `path`.

    Raises:
        MergeError: Not enough room on the disk (seen before anything is computed), it cannot be written, a weight is
            not finite or too large for the dtype, or a VAE is chosen while the VAE is merged. No file is left behind,
            an older one stays.
        CheckpointError: A model changed, or the VAE file cannot be read or does not fit; likewise.
        Interrupted: `cancelled` said so; likewise.
    """
    if path.suffix != ".safetensors":
        raise MergeError(f"'{path.name}' does not end in .safetensors; give the checkpoint such a name.")
    if any(path.exists() and path.samefile(model) for model in merger.models):
        raise MergeError(f"{path.name} is one of the models of this merge; save under another name.")
    merged = set(merger.keys)
    check_vae_is_free(save, merged)
    contents = contents_of(merger.base_header, merger.architecture, save)
    others = contents.other_tensors()

    def fill(writer: Writer) -> None:
        for name, tensor in merger.tensors(values, cancelled):
            if name in contents.tensors and name not in others:
                writer.put(name, tensor)
        for name in writer.missing():
            if cancelled is not None and cancelled():
                raise Interrupted("Saving was cancelled.")
            if name in others:
                writer.put(name, others[name]())
            elif name not in merged:
                writer.put(name, merger.base_tensor(name))

    with copy_config(merger.models[0], path):
        write_file(path, contents.tensors, {**_metadata(merger, values, save), **metadata}, fill, progress)
    return path


@contextlib.contextmanager
def copy_config(base: Path, path: Path) -> Iterator[None]:
    """Copy the ``.yaml`` beside `base`, if there is one, beside the checkpoint `path` that is written inside.

    Raises:
        MergeError: A foreign ``.yaml`` lies where the WebUIs would take it for the new checkpoint's.
    """
    source, target = base.with_suffix(".yaml"), path.with_suffix(".yaml")
    try:
        content = source.read_bytes() if source.is_file() else None
        there = target.read_bytes() if target.is_file() else None
    except OSError as error:
        raise MergeError(f"{source.name} cannot be read: {error.strerror or error}.") from error
    if there is not None and there != content:
        raise MergeError(
            f"{target.name} lies beside and would be taken for the configuration of {path.name}; save under another "
            "name."
        )
    made = content is not None and there is None
    try:
        if made and content is not None:
            _write(target, content)  # first: a checkpoint must never be found without it
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                target.unlink()
        raise


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise MergeError(f"{path.name} cannot be written: {error.strerror or error}.") from error


def _metadata(merger: Merger, values: Mapping[str, Value], save: SaveSpec) -> dict[str, str]:
    recipe = merger.recipe(values)
    digests = [sha256_of(path) for path in merger.models]
    roles = ("primary", "secondary", "tertiary")
    summary = {
        "type": "optim",
        **{f"{role}_model_hash": digest for role, digest in zip(roles, digests, strict=False)},
        "interp_method": merger.method_of(values).title,
        "multiplier": None,
        "values": merger.assignment(values),
        "recipe": recipe.digest,
        "seed": merger.seed if merger.method.stochastic else None,
        "save_as_half": save.dtype == "fp16",
        "dtype": save.dtype,
        "bake_in_vae": Path(save.vae).name if save.vae else None,
    }
    models: dict[str, object] = {}
    for path, digest, header in zip(merger.models, digests, merger.headers, strict=True):
        with contextlib.suppress(ValueError, TypeError):
            models.update(json.loads(header.metadata.get("sd_merge_models", "{}")))  # its own ancestors
        models[digest] = {
            "name": path.name,
            "legacy_hash": legacy_hash(path),
            "sd_merge_recipe": _json_or_none(header.metadata.get("sd_merge_recipe")),
        }
    return {
        "format": "pt",
        "sd_merge_recipe": json.dumps(summary, ensure_ascii=False),
        "sd_merge_models": json.dumps(models, ensure_ascii=False),
        "optim.recipe": recipe.text,
    }


def _json_or_none(text: str | None) -> object:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
