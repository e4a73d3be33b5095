"""Live weights and originals on a model of three tensors, in dtypes and situations that a real host makes."""
# ruff: noqa: PT012 - raising inside live_weights() is what is tested

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lib_optim.hosts.digest import tensor_digest
from lib_optim.hosts.live import TableSession, TableWeights
from lib_optim.hosts.originals import Originals, same_bits
from lib_optim.hosts.transforms import LiveTable, derive_table
from lib_optim.plan.errors import HostChanged, HostError, MergeError

SHAPES = {"unet.w": (4, 3), "te.fused": (6, 2), "te.square": (3, 3)}
LIVE = {"w": (4, 3), "w.wrapped": (4, 3), "q": (2, 2), "k": (2, 2), "v": (2, 2), "square": (3, 3)}


def convert(sd):
    fused = sd["te.fused"]
    return {
        "w": sd["unet.w"], "w.wrapped": sd["unet.w"], "q": fused[:2], "k": fused[2:4], "v": fused[4:],
        "square": sd["te.square"].t(),
    }  # fmt: skip


class Model:
    """A host's model: tensors that are looked up by name, and a log of what was written."""

    def __init__(self, tensors: dict[str, torch.Tensor], dtype: torch.dtype, inference: bool = False) -> None:
        with torch.inference_mode(inference):
            self.tensors = {name: t.to(dtype, copy=True) for name, t in convert(tensors).items()}
        self.inference, self.wrote_log, self.same = inference, [], True

    def tensor(self, name):
        return self.tensors[name]

    def guard(self):
        return torch.inference_mode() if self.inference else torch.no_grad()

    def check_same(self):
        if not self.same:
            raise HostChanged("another model")

    def prepare(self):
        pass

    def wrote(self, component):
        self.wrote_log.append(component)


@pytest.fixture
def table() -> LiveTable:
    return derive_table(SHAPES, convert, LIVE)


def component_of(key: str) -> str:
    return key.partition(".")[0]


def values(dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {key: torch.randn(shape, generator=generator).to(dtype) for key, shape in SHAPES.items()}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    save_file(values(torch.float16), tmp_path / "base.safetensors")
    return tmp_path / "base.safetensors"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
@pytest.mark.parametrize("inference", [False, True])
def test_write_read_restore(table, base, dtype, inference) -> None:
    model = Model(values(torch.float16), dtype, inference)
    before = {name: tensor.clone() for name, tensor in model.tensors.items()}
    session = TableSession(model, table, component_of, base)
    new = {key: torch.full(shape, 0.37) for key, shape in SHAPES.items()}
    with session.live_weights() as live:
        for key in live.keys():  # noqa: SIM118
            live.write(key, new[key])
            assert same_bits(live.read(key), new[key].to(dtype))
        assert live.digests() == {key: tensor_digest(tensor.to(dtype)) for key, tensor in new.items()}
        assert same_bits(model.tensors["w"], model.tensors["w.wrapped"])
        assert live.dtype_of("te.fused") == dtype
        assert live.device_of("te.fused").type == "cpu"
    assert all(same_bits(model.tensors[name], before[name]) for name in before)
    assert session.copied_bytes() == 0
    assert model.wrote_log == ["unet", "te", "te"] * 2


def test_overflow_in_the_live_dtype_is_refused_and_float8_clamps(table, base) -> None:
    big = torch.full((4, 3), 1e5)
    half = Model(values(torch.float16), torch.float16)
    with TableSession(half, table, component_of, base).live_weights() as live:
        with pytest.raises(MergeError, match="more than the model's"):
            live.write("unet.w", big)
        assert live.written() == ()
    tiny = Model(values(torch.float16), torch.float8_e4m3fn)
    with TableSession(tiny, table, component_of, base).live_weights() as live:
        live.write("unet.w", -big)
        assert live.read("unet.w").float().unique().tolist() == [-448.0]


def test_parameters_that_are_replaced_between_writes_are_found_again(table, base) -> None:
    model = Model(values(torch.float16), torch.float32)
    before = {name: tensor.clone() for name, tensor in model.tensors.items()}
    session = TableSession(model, table, component_of, base)
    with session.live_weights() as live:
        live.write("te.square", torch.zeros(3, 3))
        model.tensors["square"] = model.tensors["square"].clone()
        live.write("te.square", torch.ones(3, 3))
        assert model.tensors["square"].tolist() == torch.ones(3, 3).tolist()
    assert same_bits(model.tensors["square"], before["square"])


def test_shapes_and_devices_that_change_stop_before_writing(table, base) -> None:
    model = Model(values(torch.float16), torch.float32)
    weights = TableWeights(table, model, component_of)
    for bad in (torch.zeros(2, 3), torch.zeros(2, 2, device="meta")):
        model.tensors["v"] = bad
        q = model.tensors["q"].clone()
        with pytest.raises(HostChanged):
            weights.write("te.fused", torch.zeros(6, 2))
        assert same_bits(model.tensors["q"], q), "the first part was written"


def test_doubled_tensors_that_disagree_have_no_digest(table, base) -> None:
    model = Model(values(torch.float16), torch.float32)
    session = TableSession(model, table, component_of, base)
    model.tensors["w.wrapped"][0, 0] += 1
    with pytest.raises(HostChanged):
        session.check(thorough=True)


def test_values_unlike_the_file_are_copied(table, base) -> None:
    model = Model(values(torch.float32), torch.float32)  # not rounded to half, as the file is
    before = {name: tensor.clone() for name, tensor in model.tensors.items()}
    session = TableSession(model, table, component_of, base)
    with session.live_weights() as live:
        live.write("te.fused", torch.zeros(6, 2))
    assert session.copied_bytes() == 6 * 2 * 4
    assert all(same_bits(model.tensors[name], before[name]) for name in before)


def test_a_nan_in_the_original_comes_back(table, base) -> None:
    model = Model(values(torch.float16), torch.float32)
    model.tensors["square"][1, 1] = float("nan")
    before = model.tensors["square"].clone()
    session = TableSession(model, table, component_of, base)
    with session.live_weights() as live:
        live.write("te.square", torch.zeros(3, 3))
    assert same_bits(model.tensors["square"], before)


def test_a_foreign_model_gets_nothing(table, base) -> None:
    model = Model(values(torch.float16), torch.float32)
    session = TableSession(model, table, component_of, base)
    with contextlib.suppress(HostChanged), session.live_weights() as live:
        live.write("te.square", torch.zeros(3, 3))
        model.same = False
    assert model.tensors["square"].abs().sum() == 0, "it was written into although it is not ours"


def test_a_restore_that_fails_says_so(table, base) -> None:
    """The file is replaced under our feet: the wrong bits must not pass for the original."""
    model = Model(values(torch.float16), torch.float32)
    session = TableSession(model, table, component_of, base)
    with pytest.raises(HostError, match="reload the checkpoint"), session.live_weights() as live:
        live.write("te.square", torch.zeros(3, 3))
        session._originals._tensor = lambda key: torch.ones(3, 3)


def test_the_file_is_asked_for_a_tensor_once(tmp_path: Path) -> None:
    """safetensors leaves some bytes behind each time; over a long run of full-size models that is megabytes."""
    live = torch.arange(6, dtype=torch.float16).reshape(2, 3)
    save_file({"key": live}, str(tmp_path / "a.safetensors"))
    originals = Originals(lambda key: live.clone(), lambda key: tensor_digest(live), tmp_path / "a.safetensors")
    originals.watch(["key"])
    originals.capture("key")
    asked: list[str] = []
    file = originals._file
    originals._file = type("File", (), {"get_tensor": lambda self, key: asked.append(key) or file.get_tensor(key)})()
    for _ in range(3):
        assert torch.equal(originals.value("key"), live)
    originals.close()
    assert not asked, "capture had asked"
