from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.state_dicts import fill, read_state_dict

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.0, -1.0])}


def layer() -> nn.Module:
    with torch.device("meta"):
        return nn.Linear(3, 2)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
def test_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    save_file(TENSORS, path) if suffix == ".safetensors" else torch.save(TENSORS, path)
    assert same(read_state_dict(path, "T"), TENSORS)


@pytest.mark.parametrize(
    "wrapped",
    [{"state_dict": TENSORS, "epoch": 3}, {"model": TENSORS}, {f"module.{k}": v for k, v in TENSORS.items()}],
)
def test_wrappers_are_taken_off(tmp_path: Path, wrapped: dict[str, object]) -> None:
    torch.save(wrapped, tmp_path / "w.pt")
    assert same(read_state_dict(tmp_path / "w.pt", "T"), TENSORS)


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def test_a_file_that_would_run_something_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": Evil(tmp_path / "made")}, tmp_path / "w.pt")
    with pytest.raises(ScorerError, match=r"w\.pt can't be read"):
        read_state_dict(tmp_path / "w.pt", "T")
    assert not (tmp_path / "made").exists()
    torch.load(tmp_path / "w.pt", weights_only=False)  # it is a file that would have done it
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"no weights"])
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_damaged_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScorerError, match=f"^T: .*{name}"):
        read_state_dict(tmp_path / name, "T")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_truncated_and_missing_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save_file(TENSORS, path) if name.endswith("s") else torch.save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ScorerError, match=f"^T: .*{name}"):
        read_state_dict(path, "T")
    path.unlink()
    with pytest.raises(ScorerError, match=f"^T: .*{name}"):
        read_state_dict(path, "T")


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], {}, {"a": 1.0}, {"a": torch.zeros(1), "b": "text"}])
def test_files_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ScorerError, match="no plain set of named tensors"):
        read_state_dict(tmp_path / "w.pt", "T")


def test_fill_is_complete_and_frozen() -> None:
    network = fill(layer(), {**TENSORS, "extra": torch.zeros(1)}, "extra", "T", Path("w.pt"))
    assert same(dict(network.state_dict()), TENSORS)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_fill_turns_half_precision_into_float32() -> None:
    network = fill(layer(), {k: v.half() for k, v in TENSORS.items()}, "", "T", Path("w.pt"))
    assert {p.dtype for p in network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"weight": TENSORS["weight"]}, "lacks 'bias'"),
        ({}, "lacks 'weight' and 1 more"),
        ({**TENSORS, "other": torch.zeros(1)}, "has the unknown 'other'"),
        ({**TENSORS, "extras": torch.zeros(1)}, "has the unknown 'extras'"),  # the whole name must match
        ({**TENSORS, "bias": torch.zeros(3)}, "has another shape for 'bias'"),
        ({**TENSORS, "bias": torch.tensor([1.0, torch.nan])}, "'bias' in w.pt is not finite"),
    ],
)
def test_fill_refuses_anything_else(tensors: dict[str, torch.Tensor], words: str) -> None:
    with pytest.raises(ScorerError, match=words):
        fill(layer(), tensors, "extra", "T", Path("w.pt"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_filled_network_does_not_live_in_its_file(tmp_path: Path, dtype: torch.dtype) -> None:
    """Whoever overwrites a file that a network computes with would kill the program."""
    path = tmp_path / "w.safetensors"
    save_file({name: tensor.to(dtype) for name, tensor in TENSORS.items()}, path)
    tensors = read_state_dict(path, "T")
    network = fill(layer(), tensors, "", "T", path)
    mapped = {tensor.untyped_storage().data_ptr() for tensor in tensors.values()}
    assert mapped.isdisjoint(tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values())
