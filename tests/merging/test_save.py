"""A saved checkpoint is the stream that was shown, whole or absent."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lib_optim.merging import writer
from lib_optim.merging.hashing import sha256_of
from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.merger import Merger
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.errors import Interrupted, MergeError, OptimError
from lib_optim.plan.run_plan import SaveSpec
from tests.checkpoints import checkpoint_tensors, make_checkpoint
from tests.merging.conftest import guide, open_merger, random_values, same_value


@pytest.fixture
def merger(checkpoints: Mapping[str, list[Path]]) -> Merger:
    return open_merger("weighted_sum", checkpoints["sd1"][:2])


def _listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


DTYPES = [("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp32", torch.float32)]


@pytest.mark.parametrize(("word", "dtype"), DTYPES)
def test_the_file_is_the_stream_and_the_rest_of_the_base(
    word: Any, dtype: torch.dtype, merger: Merger, tmp_path: Path
) -> None:
    values = random_values(merger.space, 1)
    path = save_checkpoint(merger, values, tmp_path / "merged.safetensors", SaveSpec(word), {})
    saved = load_file(path)
    stream = {key: tensor.to(dtype, copy=True) for key, tensor in merger.tensors(values)}
    base = load_file(merger.models[0])
    assert saved.keys() == base.keys()
    for key, tensor in saved.items():
        if key in stream:
            assert torch.equal(tensor, stream[key]), key
        elif key.startswith("first_stage_model."):
            assert torch.equal(tensor, base[key].to(dtype)), key
        else:
            assert tensor.dtype == base[key].dtype, f"{key}: schedules and ids keep their precision"
            assert torch.equal(tensor, base[key]), key
    assert _listed(tmp_path) == ["merged.safetensors"]


def test_sdxl_with_its_single_number_and_another_base_dtype(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    a, b, _ = checkpoints["sdxl"]
    merger = open_merger("weighted_sum", [b, a], "sdxl", guide("text_encoder"))  # an fp32 base
    path = save_checkpoint(merger, {"BASE_alpha": 1.0}, tmp_path / "m.safetensors", SaveSpec("fp16"), {})
    saved, source = load_file(path), load_file(a)
    assert saved.keys() == load_file(b).keys()
    key = "conditioner.embedders.1.model.logit_scale"
    assert saved[key].shape == ()
    assert torch.equal(saved[key], source[key])


def test_a_saved_merge_can_be_merged_again(merger: Merger, tmp_path: Path) -> None:
    saved = save_checkpoint(
        merger, same_value(merger.space, 1.0), tmp_path / "b again.safetensors", SaveSpec("fp32"), {}
    )
    again = open_merger("weighted_sum", [merger.models[0], saved])
    values = random_values(merger.space, 2)
    expected = {key: tensor.clone() for key, tensor in merger.tensors(values)}
    assert all(torch.equal(expected[key], tensor) for key, tensor in again.tensors(values))


def test_metadata_names_recipe_and_models(merger: Merger, tmp_path: Path) -> None:
    values = random_values(merger.space, 1)
    own = {"optim": '{"trial": 3}'}
    path = save_checkpoint(merger, values, tmp_path / "m.safetensors", SaveSpec("fp16"), own)
    metadata = _metadata(path)
    assert metadata["format"] == "pt"
    assert metadata["optim"] == '{"trial": 3}'
    assert metadata["optim.recipe"] == merger.recipe(values).text
    sd_mecha().deserialize(metadata["optim.recipe"])
    models = json.loads(metadata["sd_merge_models"])
    digests = [sha256_of(model) for model in merger.models]
    assert {digest: models[digest]["name"] for digest in digests} == dict(
        zip(digests, ("sd1 A.safetensors", "sd1 B.safetensors"), strict=True)
    )
    recipe = json.loads(metadata["sd_merge_recipe"])
    assert recipe["primary_model_hash"] == digests[0]
    assert recipe["secondary_model_hash"] == digests[1]
    assert recipe["interp_method"] == "Weighted sum"
    assert recipe["values"]["alpha"]["IN05"] == values["IN05_alpha"]
    assert recipe["save_as_half"] is True


def test_ancestors_of_a_merged_model_are_kept(merger: Merger, tmp_path: Path) -> None:
    half = same_value(merger.space, 0.5)
    child = save_checkpoint(merger, half, tmp_path / "child.safetensors", SaveSpec("fp16"), {})
    second = open_merger("weighted_sum", [child, merger.models[1]])
    metadata = _metadata(save_checkpoint(second, half, tmp_path / "grandchild.safetensors", SaveSpec("fp16"), {}))
    models = json.loads(metadata["sd_merge_models"])
    names = {entry["name"] for entry in models.values()}
    assert names == {"sd1 A.safetensors", "sd1 B.safetensors", "child.safetensors"}
    assert models[sha256_of(child)]["sd_merge_recipe"]["type"] == "optim"


def test_the_same_recipe_gives_the_same_file(merger: Merger, tmp_path: Path) -> None:
    values = random_values(merger.space, 1)
    one, two = (save_checkpoint(merger, values, tmp_path / f"{n}.safetensors", SaveSpec("fp16"), {}) for n in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_progress_counts_every_tensor(merger: Merger, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    half = same_value(merger.space, 0.5)
    save_checkpoint(merger, half, tmp_path / "m.safetensors", SaveSpec("fp16"), {}, lambda n, of: seen.append((n, of)))
    assert [n for n, _ in seen] == list(range(1, 1144))
    assert {of for _, of in seen} == {1143}


# --- whole or not at all --------------------------------------------------------------------------------------------


def test_a_full_disk_is_refused_before_anything_is_computed(
    merger: Merger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(Merger, "tensors", lambda *args: pytest.fail("it computed"))
    with pytest.raises(MergeError, match=r"m\.safetensors needs 0\.00 GB, and the disk of .* has 0\.00 GB free"):
        save_checkpoint(merger, same_value(merger.space, 0.5), tmp_path / "m.safetensors", SaveSpec("fp16"), {})
    assert not _listed(tmp_path)


def test_a_disk_that_fills_up_half_way_leaves_nothing(
    merger: Merger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, tensor: torch.Tensor, dtype: str) -> bytes:
        raise OSError(28, "No space left on device")

    target = tmp_path / "m.safetensors"
    target.write_bytes(b"an older file")
    monkeypatch.setattr(writer, "_bytes", full)
    with pytest.raises(MergeError, match=r"m\.safetensors cannot be written: No space left on device\."):
        save_checkpoint(merger, same_value(merger.space, 0.5), target, SaveSpec("fp16"), {})
    assert _listed(tmp_path) == ["m.safetensors"]
    assert target.read_bytes() == b"an older file"


@pytest.mark.parametrize("tensors", [5, 1000])  # among the merged ones, among those of the base
def test_cancelling_leaves_nothing(tensors: int, merger: Merger, tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(Interrupted):
        save_checkpoint(
            merger, same_value(merger.space, 0.5), tmp_path / "m.safetensors", SaveSpec("fp16"), {},
            lambda n, of: done.append(n), lambda: len(done) >= tensors,
        )  # fmt: skip
    assert len(done) == tensors
    assert not _listed(tmp_path)


def test_weights_too_large_for_fp16_are_refused(tmp_path: Path) -> None:
    key = "model.diffusion_model.out.2.weight"
    huge = torch.full_like(checkpoint_tensors("sd1")[key], 1e6, dtype=torch.float32)
    models = [
        make_checkpoint(tmp_path / f"{n}.safetensors", "sd1", n, torch.float32, replace={key: huge}) for n in range(2)
    ]
    merger = open_merger("weighted_sum", models)
    values = same_value(merger.space, 0.5)
    with pytest.raises(MergeError, match=rf"'{key}' does not fit into float16"):
        save_checkpoint(merger, values, tmp_path / "m.safetensors", SaveSpec("fp16"), {})
    assert not (tmp_path / "m.safetensors").exists()
    assert save_checkpoint(merger, values, tmp_path / "m.safetensors", SaveSpec("bf16"), {}).exists()


def test_a_source_is_never_overwritten_and_names_are_checked(merger: Merger, tmp_path: Path) -> None:
    values = same_value(merger.space, 0.5)
    with pytest.raises(MergeError, match=r"sd1 B\.safetensors is one of the models of this merge"):
        save_checkpoint(merger, values, merger.models[1], SaveSpec("fp16"), {})
    with pytest.raises(MergeError, match=r"does not end in \.safetensors"):
        save_checkpoint(merger, values, tmp_path / "m.ckpt", SaveSpec("fp16"), {})
    with pytest.raises(OptimError, match="cannot be written"):
        save_checkpoint(merger, values, tmp_path / "no folder" / "m.safetensors", SaveSpec("fp16"), {})


_SCRIPT = """
import sys, time
from pathlib import Path
from tests.merging.conftest import open_merger, same_value
from lib_optim.merging.save import save_checkpoint
from lib_optim.plan.run_plan import SaveSpec
a, b, target = map(Path, sys.argv[1:])
merger = open_merger("weighted_sum", [a, b])
def progress(done, total):
    if done == 200:
        print("half-way", flush=True)
        time.sleep(60)
save_checkpoint(merger, same_value(merger.space, 0.5), target, SaveSpec("fp16"), {}, progress)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_killed_half_way_leaves_no_checkpoint_and_the_next_save_cleans_up(merger: Merger, tmp_path: Path) -> None:
    target = tmp_path / "m.safetensors"
    command = [sys.executable, "-c", _SCRIPT, *map(str, merger.models), str(target)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half-way\n"
        process.kill()
        process.wait(30)
    assert not target.exists()
    assert not [name for name in _listed(tmp_path) if name.endswith(".safetensors")]
    started = time.perf_counter()
    save_checkpoint(merger, same_value(merger.space, 0.5), target, SaveSpec("fp16"), {})
    assert _listed(tmp_path) == ["m.safetensors"]
    assert time.perf_counter() - started < 30
