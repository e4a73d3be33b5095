"""Headers of safetensors files, honest and lying. Whatever the bytes: a header or a CheckpointError."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_optim.plan.errors import CheckpointError
from lib_optim.plan.header import DTYPE_BYTES, read_header


def write(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


def tensor(begin: int, end: int, dtype: str = "F32", shape: list[int] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_header(path)
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_it_reads_what_safetensors_writes(file: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file(
        {
            "half": np.zeros((2, 3), np.float16),
            "scalar": np.zeros((), np.float32),
            "empty": np.zeros((0, 5), np.float32),
            "ids": np.zeros((1, 77), np.int64),
        },
        file,
        {"format": "pt", "note": "ü"},
    )
    header = read_header(file)
    assert {key: (t.dtype, t.shape, t.nbytes) for key, t in header.tensors.items()} == {
        "half": ("F16", (2, 3), 12),
        "scalar": ("F32", (), 4),
        "empty": ("F32", (0, 5), 0),
        "ids": ("I64", (1, 77), 616),
    }
    assert header.metadata == {"format": "pt", "note": "ü"}
    assert header.file_bytes == file.stat().st_size
    assert header.path == file


def test_it_knows_the_size_of_every_dtype_that_safetensors_writes(file: Path) -> None:
    import torch
    from safetensors.torch import save_file

    dtypes = [
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.float16, torch.bfloat16, torch.int32,
        torch.float32, torch.float64, torch.int64, torch.float8_e4m3fn, torch.float8_e5m2,
    ]  # fmt: skip
    dtypes += [getattr(torch, name) for name in ("uint16", "uint32", "uint64") if hasattr(torch, name)]
    save_file({str(dtype): torch.zeros(3, dtype=dtype) for dtype in dtypes}, file)
    tensors = read_header(file).tensors
    assert len(tensors) == len(dtypes)
    for dtype in dtypes:
        info = tensors[str(dtype)]
        assert info.nbytes == 3 * dtype.itemsize == 3 * DTYPE_BYTES[info.dtype]


def test_a_dtype_of_the_future_is_taken_at_its_offsets(file: Path) -> None:
    write(file, {"a": tensor(0, 3, "F6_E2M3", [4]), "b": tensor(3, 7)}, bytes(7))
    assert read_header(file).tensors["a"].nbytes == 3


def test_a_missing_file(file: Path) -> None:
    assert refusal(file) == f"{file} does not exist; refresh the list and choose again."


def test_a_folder(tmp_path: Path) -> None:
    sentence = refusal(tmp_path)
    assert "cannot be read" in sentence
    assert "Errno" not in sentence


def test_a_name_that_no_file_can_have() -> None:
    assert "cannot be read" in refusal(Path("a\0b.safetensors"))


@pytest.mark.parametrize("size", [0, 1, 7])
def test_shorter_than_the_length_field(file: Path, size: int) -> None:
    file.write_bytes(bytes(size))
    assert "empty or truncated" in refusal(file)


def test_every_truncation_of_a_good_file_is_refused(file: Path) -> None:
    write(file, {"__metadata__": {"a": "b"}, "a": tensor(0, 8), "b": tensor(8, 12)}, bytes(12))
    read_header(file)
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        sentence = refusal(file)
        assert sentence.endswith(".")
        assert "truncated" in sentence


def test_a_renamed_ckpt(file: Path) -> None:
    file.write_bytes(b"PK\x03\x04" + bytes(range(200)))
    assert "another format renamed" in refusal(file)


def test_a_web_page_saved_as_a_model(file: Path) -> None:
    file.write_bytes(b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>" * 5)
    assert "another format renamed" in refusal(file)


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 10**12, 100_000_001])
def test_a_huge_header_length_is_not_believed(file: Path, length: int) -> None:
    write(file, {"a": tensor(0, 4)}, bytes(4), length)
    assert f"claims {length} bytes" in refusal(file)


def test_a_header_longer_than_the_format_allows_is_not_read(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.write(struct.pack("<Q", 100_000_001))
        sparse.truncate(200_000_000)
    assert "not a whole safetensors file" in refusal(file)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b"5", b'"x"', b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000],
    ids=lambda raw: raw[:8].hex() or "empty",
)
def test_a_header_that_is_no_json_object(file: Path, raw: bytes) -> None:
    write(file, raw)
    assert "broken safetensors header" in refusal(file)


@pytest.mark.parametrize("header", [{}, {"__metadata__": {"a": "b"}}])
def test_a_file_without_tensors(file: Path, header: dict[str, Any]) -> None:
    write(file, header)
    assert "holds no tensors" in refusal(file)


@pytest.mark.parametrize("metadata", [[], "x", 5, {"a": 1}, {"a": None}])
def test_metadata_that_is_no_text(file: Path, metadata: Any) -> None:
    write(file, {"__metadata__": metadata, "a": tensor(0, 4)}, bytes(4))
    assert "broken metadata" in refusal(file)


def test_metadata_that_is_null_is_empty(file: Path) -> None:
    write(file, {"__metadata__": None, "a": tensor(0, 4)}, bytes(4))
    assert read_header(file).metadata == {}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        5,
        [],
        {},
        {"dtype": "F32", "shape": [1]},
        {"dtype": "F32", "data_offsets": [0, 4]},
        {"shape": [1], "data_offsets": [0, 4]},
        tensor(0, 4, shape=[2]),
        tensor(0, 4, shape=[-1]),
        tensor(0, 4, shape=[1.0]),  # type: ignore[list-item]
        tensor(0, 4, shape=[True]),
        tensor(0, 4, shape=["1"]),  # type: ignore[list-item]
        {"dtype": 5, "shape": [1], "data_offsets": [0, 4]},
        {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 2, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]},
        {"dtype": "F32", "shape": [1], "data_offsets": ["0", "4"]},
        {"dtype": "F32", "shape": [1], "data_offsets": "04"},
        {"dtype": "F32", "shape": [10**30, 10**30], "data_offsets": [0, 4]},
        {"dtype": "NEW", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "NEW", "shape": [1], "data_offsets": ["a", "b"]},
    ],
    ids=str,
)
def test_a_tensor_described_wrongly(file: Path, entry: Any) -> None:
    write(file, {"bad": entry}, bytes(4))
    assert "describes the tensor 'bad' wrongly" in refusal(file)


def test_offsets_beyond_the_end(file: Path) -> None:
    write(file, {"a": tensor(0, 4), "b": tensor(4, 400)}, bytes(100))
    assert "'b' ends 300 bytes after the end of the file" in refusal(file)


def test_overlapping_tensors(file: Path) -> None:
    write(file, {"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12))
    assert "'b' begins at byte 4 of the data where 8 was expected" in refusal(file)


def test_a_gap_between_tensors(file: Path) -> None:
    write(file, {"a": tensor(0, 4), "b": tensor(8, 12)}, bytes(12))
    assert "'b' begins at byte 8 of the data where 4 was expected" in refusal(file)


def test_bytes_after_the_last_tensor(file: Path) -> None:
    write(file, {"a": tensor(0, 4)}, bytes(10))
    assert "6 bytes that belong to no tensor" in refusal(file)


# What safetensors itself refuses, hosts and sd-mecha cannot open either; so the two must agree.
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "I64"]),
        "shape": st.lists(st.integers(-1, 4), max_size=3),
        "data_offsets": st.lists(st.integers(-2, 40), min_size=1, max_size=3),
    }
)
consistent = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(
    lambda sizes: {
        f"t{i}": tensor(4 * sum(sizes[:i]), 4 * sum(sizes[: i + 1]), shape=[size]) for i, size in enumerate(sizes)
    }
)


@given(st.dictionaries(st.text(max_size=3), entries, max_size=3) | consistent, st.integers(0, 40))
@settings(max_examples=300, deadline=None)
def test_it_accepts_exactly_what_safetensors_accepts(
    tmp_path_factory: pytest.TempPathFactory, header: Any, size: int
) -> None:
    from safetensors import SafetensorError, safe_open

    file = write(tmp_path_factory.getbasetemp() / "fuzzed.safetensors", header, bytes(size))
    try:
        with safe_open(file, "np") as opened:
            theirs = sorted(opened.keys())
    except SafetensorError:
        theirs = []
    try:
        ours = sorted(read_header(file).tensors)
    except CheckpointError:
        ours = []
    assert ours == theirs


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.safetensors"
    file.write_bytes(content)
    with pytest.raises(CheckpointError):
        read_header(file)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "__metadata__", "a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(json_values, st.binary(max_size=16))
@settings(max_examples=300, deadline=None)
def test_random_headers(tmp_path_factory: pytest.TempPathFactory, header: Any, data: bytes) -> None:
    file = write(tmp_path_factory.getbasetemp() / "headers.safetensors", header, data)
    try:
        found = read_header(file)
    except CheckpointError:
        return
    assert sum(info.nbytes for info in found.tensors.values()) == len(data)
