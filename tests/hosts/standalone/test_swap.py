# ruff: noqa: PT012, SIM118 - raising inside live_weights() is what is tested; live weights are no mapping
"""Writing into the live model, and getting it back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib_optim.hosts.digest import tensor_digest
from lib_optim.hosts.originals import same_bits
from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.plan.errors import HostChanged, HostError, MergeError, RunError
from tests.hosts.standalone.conftest import job_of, pixels

ALL = frozenset({"unet", "text_encoder", "vae"})


@pytest.fixture(scope="module")
def files(demo_folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    a, b = (load_file(demo_folder / f"demo-{x}.safetensors") for x in "ab")
    return a, b


def everything(host: StandaloneHost) -> dict[str, torch.Tensor]:
    model = host.model()
    assert model is not None
    modules = model.modules.items()
    return {
        f"{part}.{name}": tensor.clone() for part, module in modules for name, tensor in module.state_dict().items()
    }


def assert_unchanged(host: StandaloneHost, before: dict[str, torch.Tensor]) -> None:
    after = everything(host)
    assert after.keys() == before.keys()
    assert [name for name in before if not same_bits(before[name], after[name])] == []


def test_without_a_write_nothing_changes(host: StandaloneHost) -> None:
    with host.exclusive():
        before, image = everything(host), pixels(host)
        session = host.open_session(host.checkpoints()[0], ALL)
        with session.live_weights() as live:
            assert pixels(host) == image
            assert live.digests() == {}
        assert pixels(host) == image
        assert_unchanged(host, before)
        assert session.unmapped() == ()
        session.close()


def test_half_way_and_back(host: StandaloneHost, files) -> None:
    a, b = files
    with host.exclusive():
        before, image = everything(host), pixels(host)
        session = host.open_session(host.checkpoints()[0], frozenset({"unet"}))
        for _ in range(2):
            with session.live_weights() as live:
                for key in live.keys():
                    live.write(key, torch.lerp(a[key].float(), b[key].float(), 0.5))
                half = pixels(host)
                assert live.digests() == {
                    key: tensor_digest(torch.lerp(a[key].float(), b[key].float(), 0.5)) for key in session.keys()
                }
            assert half != image
            assert pixels(host) == image
            assert_unchanged(host, before)
        assert session.copied_bytes() == 0, "all of it lies in the file"
        with session.live_weights() as live:
            for key in live.keys():
                live.write(key, a[key].float())
            assert pixels(host) == image
        session.check(thorough=True)
        session.close()


def test_all_of_b_equals_b_from_disk(host: StandaloneHost, files) -> None:
    _, b = files
    first, second = host.checkpoints()
    with host.exclusive():
        session = host.open_session(first, ALL)
        with session.live_weights() as live:
            for key in live.keys():
                live.write(key, b[key])
            swapped, weights = pixels(host), everything(host)
        session.close()
        host.load(second)
        assert pixels(host) == swapped
        assert_unchanged(host, weights)


def test_reading_gives_the_file(host: StandaloneHost, files) -> None:
    with host.exclusive():
        session = host.open_session(host.checkpoints()[0], ALL)
        with session.live_weights() as live:
            assert set(live.keys()) == set(files[0])
            for key in live.keys():
                assert live.shape_of(key) == tuple(files[0][key].shape)
                assert same_bits(live.read(key), files[0][key].to(live.dtype_of(key)))
        session.close()


def test_a_text_encoder_write_shows_at_once(host: StandaloneHost, files) -> None:
    with host.exclusive():
        image = pixels(host)
        session = host.open_session(host.checkpoints()[0], frozenset({"text_encoder"}))
        with session.live_weights() as live:
            assert pixels(host) == image
            for key in live.keys():
                live.write(key, files[1][key])
            assert pixels(host) != image
        assert pixels(host) == image
        session.close()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_between_writes_restores(host: StandaloneHost, files, error: type[BaseException]) -> None:
    with host.exclusive():
        before = everything(host)
        session = host.open_session(host.checkpoints()[0], ALL)
        with pytest.raises(error, match="half way"), session.live_weights() as live:
            for i, key in enumerate(live.keys()):
                live.write(key, files[1][key] * 2)
                if i == 500:
                    raise error("half way")
        assert_unchanged(host, before)
        session.close()


def test_an_exception_within_a_write_restores(host: StandaloneHost, files, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy itself fails: the tensor is half written and must count as written."""
    key = "first_stage_model.decoder.mid.attn_1.q.weight"
    with host.exclusive():
        before = everything(host)
        session = host.open_session(host.checkpoints()[0], ALL)
        with pytest.raises(RuntimeError, match="device lost"), session.live_weights() as live:
            parameter = host.model().tensor("vae.decoder.mid_block.attentions.0.to_q.weight")

            def broken(model, name):
                parameter.data.zero_()
                raise RuntimeError("device lost")

            with monkeypatch.context() as patch:
                patch.setattr("lib_optim.hosts.transforms.Transform.apply", broken)
                live.write(key, files[1][key])
        assert_unchanged(host, before)
        session.close()


def test_an_interrupt_while_restoring_restores_the_rest(host: StandaloneHost, files, monkeypatch) -> None:
    from lib_optim.hosts.originals import Originals

    with host.exclusive():
        before = everything(host)
        session = host.open_session(host.checkpoints()[0], frozenset({"unet"}))
        real, calls = Originals.value, []

        def pressed(self, key):
            calls.append(key)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return real(self, key)

        with pytest.raises(KeyboardInterrupt), session.live_weights() as live:
            for key in list(live.keys())[:6]:
                live.write(key, torch.zeros(live.shape_of(key)))
            monkeypatch.setattr(Originals, "value", pressed)
        assert_unchanged(host, before)
        session.close()


def test_an_error_in_generation_restores(host: StandaloneHost, files, monkeypatch: pytest.MonkeyPatch) -> None:
    with host.exclusive():
        before = everything(host)
        session = host.open_session(host.checkpoints()[0], frozenset({"unet"}))
        with pytest.raises(HostError, match="could not be generated: out of memory"), session.live_weights() as live:
            for key in live.keys():
                live.write(key, files[1][key])
            monkeypatch.setattr(
                host.model().modules["vae"], "decode", lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory"))
            )
            pixels(host)
        assert_unchanged(host, before)
        assert host.progress() is None
        session.close()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (lambda t: t[:-1], "has the shape"),
        (lambda t: t.clone().fill_(float("nan")), "non-finite"),
        (lambda t: torch.cat([t.flatten()[:-1], torch.tensor([float("inf")])]).reshape(t.shape), "non-finite"),
        (lambda t: t.to(torch.int32), "floating point"),
    ],
)  # fmt: skip
def test_bad_tensors_are_refused_before_writing(host: StandaloneHost, files, value, sentence: str) -> None:
    key = "model.diffusion_model.middle_block.1.proj_in.weight"
    with host.exclusive():
        before = everything(host)
        session = host.open_session(host.checkpoints()[0], ALL)
        with session.live_weights() as live:
            with pytest.raises(MergeError, match=sentence):
                live.write(key, value(files[0][key].float()))
            with pytest.raises(MergeError, match="no tensor for the key"):
                live.write(key + "x", files[0][key])
            assert live.written() == ()
            assert_unchanged(host, before)
        session.close()


def test_a_live_value_that_differs_from_the_file_is_kept_as_a_copy(host: StandaloneHost, files) -> None:
    key = "model.diffusion_model.middle_block.1.proj_in.weight"
    with host.exclusive():
        model = host.model()
        parameter = model.tensor("unet.mid_block.attentions.0.proj_in.weight")
        parameter.data[0, 0] += 1
        model.dirty = True  # so that the next test gets the file's
        before = everything(host)
        session = host.open_session(host.checkpoints()[0], frozenset({"unet"}))
        with session.live_weights() as live:
            live.write(key, files[1][key])
        assert session.copied_bytes() == parameter.numel() * 4
        assert_unchanged(host, before)
        session.close()
        model.dirty = True


def test_a_foreign_change_is_noticed(host: StandaloneHost) -> None:
    with host.exclusive():
        session = host.open_session(host.checkpoints()[0], frozenset({"unet"}))
        parameter = host.model().tensor("unet.mid_block.attentions.0.proj_in.weight")
        parameter.data[0, 0] += 1
        with pytest.raises(HostChanged, match=r"middle_block\.1\.proj_in"):
            session.check(thorough=True)
        with session.live_weights() as live, pytest.raises(HostChanged):
            live.write("model.diffusion_model.middle_block.1.proj_in.weight", parameter.clone())
        session.close()
        host.model().dirty = True


def test_another_model_is_noticed_and_left_alone(host: StandaloneHost, files) -> None:
    first, second = host.checkpoints()
    with host.exclusive():
        session = host.open_session(first, frozenset({"unet"}))
        host.load(second)
        other = everything(host)
        with pytest.raises(HostChanged, match="demo-b"), session.live_weights():
            pass
        with pytest.raises(HostChanged):
            session.check()
        host.load(first)
        with pytest.raises(HostChanged):  # the same file, but another object: nothing is known of it
            session.check()
        session = host.open_session(first, frozenset({"unet"}))
        with pytest.raises(HostChanged), session.live_weights() as live:
            live.write(live.keys()[0], files[1][live.keys()[0]])
            host.load(second)
        assert_unchanged(host, other)


def test_sessions_do_not_nest_and_end(host: StandaloneHost) -> None:
    with host.exclusive():
        session = host.open_session(host.checkpoints()[0], frozenset({"unet"}))
        with session.live_weights(), pytest.raises(RunError, match="open already"), session.live_weights():
            pass
        session.close()
        session.close()
        with pytest.raises(RunError, match="closed"), session.live_weights():
            pass
        with pytest.raises(HostError, match="not loaded"):
            host.open_session(host.checkpoints()[1], ALL)
    with pytest.raises(HostError, match="queue"):
        host.generate(job_of(), {})
