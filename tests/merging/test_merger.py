"""The merger: what it writes, what it leaves alone, and what it refuses."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from lib_optim.merging import executor, selfcheck
from lib_optim.plan.bounds import Bound
from lib_optim.plan.errors import CheckpointError, Interrupted, MergeError, PlanError
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from tests.checkpoints import checkpoint_tensors, make_checkpoint
from tests.merging.conftest import Sink, guide, open_merger, random_values, same_value

IN04 = Guide((ComponentGuide("unet", (Strategy("select", ("IN04",)),)),))


def _write(merger, values, **options):  # type: ignore[no-untyped-def]
    sink = Sink(merger.keys)
    return merger.write(values, sink, **options), sink.tensors


def _stored(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


@pytest.mark.parametrize(("value", "model"), [(0.0, 0), (1.0, 1)])
def test_the_ends_of_a_weighted_sum_are_the_models_bit_for_bit(
    value: float, model: int, checkpoints: Mapping[str, list[Path]]
) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2])
    _, tensors = _write(merger, same_value(merger.space, value))
    source = _stored(checkpoints["sd1"][model])
    for key in merger.keys:
        assert torch.equal(tensors[key], source[key].float()), key


def test_half_is_the_formula(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2])
    _, tensors = _write(merger, {**same_value(merger.space, 0.25), "IN04_alpha": 0.75})
    a, b = (_stored(path) for path in checkpoints["sd1"][:2])
    for key in merger.keys:
        alpha = 0.75 if ".input_blocks.4." in key else 0.25
        expected = a[key].double() * (1 - alpha) + b[key].double() * alpha
        assert torch.allclose(tensors[key].double(), expected, atol=1e-6), key


def test_every_key_of_the_base_is_accounted_for(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2], plan=guide("text_encoder", "unet"))
    report, tensors = _write(merger, same_value(merger.space, 0.5))
    everything = [*report.written, *report.base, *report.refused]
    assert sorted(everything) == sorted(merger.base_header.tensors)
    assert report.written == merger.keys == tuple(tensors)
    assert report.refused == ()
    assert report.digests.keys() == set(merger.keys)
    assert report.seconds > 0
    assert report.bytes == sum(merger.base_header.tensors[key].nbytes for key in merger.keys)
    assert "cond_stage_model.transformer.text_model.embeddings.position_ids" in report.base, "integers are not merged"
    assert "alphas_cumprod" in report.base
    assert "first_stage_model.decoder.conv_in.weight" in report.base


def test_only_the_blocks_of_the_guide_are_written(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2], plan=IN04)
    report, _ = _write(merger, {"IN04_alpha": 0.5})
    assert report.written
    assert all(".input_blocks.4." in key for key in report.written)
    assert merger.recipe({"IN04_alpha": 0.5}).text.count("input_blocks.4.") == len(report.written)


def test_keys_that_the_sink_lacks_are_refused_not_written(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2], plan=IN04)
    sink = Sink(merger.keys[2:])
    report = merger.write({"IN04_alpha": 0.5}, sink)
    assert report.refused == merger.keys[:2]
    assert report.written == merger.keys[2:] == tuple(sink.tensors)


def test_the_stream_is_what_is_written_and_successive_trials_do_not_mix(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("add_difference_ties", checkpoints["sd1"])
    values = random_values(merger.space, 1)
    _, first = _write(merger, values)
    _write(merger, random_values(merger.space, 2))
    for key, tensor in merger.tensors(values):
        assert torch.equal(first[key], tensor), key


def test_memory_is_one_tensor_not_a_model(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("add_difference", checkpoints["sd1"])
    _write(merger, same_value(merger.space, 0.5))
    largest = max(merger.base_tensor(key).numel() for key in merger.keys)
    assert merger._engine._staging is not None
    assert merger._engine._staging.numel() <= largest


def test_a_thread_in_inference_mode_does_not_spoil_the_next_trial(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2])
    values = random_values(merger.space, 1)
    with torch.inference_mode():
        _, first = _write(merger, values)
    _, second = _write(merger, values)
    for key in merger.keys:
        assert torch.equal(first[key], second[key])


def test_old_names_of_the_text_encoder_are_understood(checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    tensors = checkpoint_tensors("sd1", 1, torch.float32)
    old = {key.replace("transformer.text_model.", "transformer."): tensor for key, tensor in tensors.items()}
    names = [key for key in tensors if "text_model" in key]
    b = make_checkpoint(tmp_path / "old.safetensors", "sd1", 1, torch.float32, without=names, replace=old)
    a, plain = checkpoints["sd1"][:2]
    new, aged = open_merger("weighted_sum", [a, plain]), open_merger("weighted_sum", [a, b])
    values = random_values(new.space, 1)
    (_, expected), (report, got) = _write(new, values), _write(aged, values)
    assert report.written == new.keys
    assert all(torch.equal(expected[key], got[key]) for key in expected)
    base_aged = open_merger("weighted_sum", [b, a])
    assert "cond_stage_model.transformer.final_layer_norm.weight" in base_aged.keys
    assert base_aged.recipe(values).digest == new.recipe(values).digest, "the recipe uses sd-mecha's names"


# --- what it refuses ------------------------------------------------------------------------------------------------


def test_a_key_that_b_lacks_stays_the_base_s(checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    lost = "model.diffusion_model.input_blocks.4.1.norm.weight"
    b = make_checkpoint(tmp_path / "pruned.safetensors", "sd1", 1, without=[lost])
    merger = open_merger("weighted_sum", [checkpoints["sd1"][0], b], plan=IN04)
    report, _ = _write(merger, {"IN04_alpha": 0.5})
    assert lost not in merger.keys
    assert lost in report.base
    assert merger.missing == {"pruned.safetensors": (lost,)}
    assert f"{lost}=" not in merger.recipe({"IN04_alpha": 0.5}).text


def test_models_with_nothing_in_common_are_refused(checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    names = [key for key in checkpoint_tensors("sd1") if ".input_blocks.4." in key]
    b = make_checkpoint(tmp_path / "b.safetensors", "sd1", 1, without=names)
    with pytest.raises(MergeError, match=r"sd1 A\.safetensors and b\.safetensors have no tensors in common"):
        open_merger("weighted_sum", [checkpoints["sd1"][0], b], plan=IN04)


def test_an_inpainting_model_is_refused_only_where_it_differs(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    key = "model.diffusion_model.input_blocks.0.0.weight"
    shape = checkpoint_tensors("sd1")[key].shape
    nine = torch.zeros(shape[0], 9, *shape[2:], dtype=torch.float16)
    b = make_checkpoint(tmp_path / "inpainting.safetensors", "sd1", 1, replace={key: nine})
    a = checkpoints["sd1"][0]
    with pytest.raises(MergeError, match=r"shape of '.*input_blocks\.0\.0\.weight' \(4×4×3×3 and 4×9×3×3\)"):
        open_merger("weighted_sum", [a, b])
    assert open_merger("weighted_sum", [a, b], plan=IN04).keys


def test_nan_in_a_model_is_named_before_anything_of_that_key_is_written(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    key = "model.diffusion_model.input_blocks.4.1.norm.weight"
    bad = checkpoint_tensors("sd1", 1)[key]
    bad[1] = float("nan")
    b = make_checkpoint(tmp_path / "bad.safetensors", "sd1", 1, replace={key: bad})
    merger = open_merger("weighted_sum", [checkpoints["sd1"][0], b], plan=IN04)
    sink = Sink(merger.keys)
    with pytest.raises(CheckpointError, match=rf"bad\.safetensors holds NaN or infinity in '{key}'"):
        merger.write({"IN04_alpha": 0.5}, sink)
    assert key not in sink.tensors


def test_a_result_that_is_not_finite_is_named_with_its_block(tmp_path: Path) -> None:
    key = "model.diffusion_model.input_blocks.4.1.norm.weight"
    huge = torch.full_like(checkpoint_tensors("sd1")[key], 3e38, dtype=torch.float32)
    a = make_checkpoint(tmp_path / "a.safetensors", "sd1", 0, torch.float32, replace={key: -huge})
    b = make_checkpoint(tmp_path / "b.safetensors", "sd1", 1, torch.float32, replace={key: huge})
    merger = open_merger("add_difference", [a, b], plan=IN04)
    sink = Sink(merger.keys)
    with pytest.raises(MergeError, match=rf"Add difference failed in block IN04 at '{key}': the result holds NaN"):
        merger.write({"IN04_alpha": 1.0}, sink)
    assert key not in sink.tensors


def test_an_error_inside_a_method_names_the_block(checkpoints: Mapping[str, list[Path]]) -> None:
    bounds = {"tilt": Bound("fixed", value=0.5), "alpha": Bound("float", -1.0, 2.0)}
    plan = dataclasses.replace(IN04, bounds=bounds)
    merger = open_merger("crossover", checkpoints["sd1"][:2], plan=plan)
    with pytest.raises(MergeError, match=r"Frequency crossover failed in block IN04 at '.*': alpha must be between"):
        _write(merger, {"IN04_alpha": 2.0})


@pytest.mark.parametrize("cut", [0, 4, 5000, 300_000])
def test_a_truncated_file_is_one_sentence(cut: int, checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    broken = tmp_path / "cut.safetensors"
    broken.write_bytes(checkpoints["sd1"][1].read_bytes()[:cut])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors .*\.$"):
        open_merger("weighted_sum", [checkpoints["sd1"][0], broken])


def test_a_missing_file_is_one_sentence(checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        open_merger("weighted_sum", [checkpoints["sd1"][0], tmp_path / "gone.safetensors"])


def test_the_wrong_number_of_models_is_refused(checkpoints: Mapping[str, list[Path]]) -> None:
    with pytest.raises(MergeError, match="Weighted sum does not take 3 models"):
        open_merger("weighted_sum", checkpoints["sd1"])


def test_a_file_that_changes_under_the_run_is_noticed(checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    b = make_checkpoint(tmp_path / "b.safetensors", "sd1", 1)
    merger = open_merger("weighted_sum", [checkpoints["sd1"][0], b], plan=IN04)
    _write(merger, {"IN04_alpha": 0.5})
    os.utime(b, ns=(1, 1))
    with pytest.raises(CheckpointError, match=r"b\.safetensors was changed while it was in use"):
        _write(merger, {"IN04_alpha": 0.5})


def test_cancelling_stops_between_tensors(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2])
    sink = Sink(merger.keys)
    with pytest.raises(Interrupted):
        merger.write(same_value(merger.space, 0.5), sink, cancelled=lambda: len(sink.tensors) == 3)
    assert len(sink.tensors) == 3
    assert len(_write(merger, same_value(merger.space, 0.5))[0].written) == len(merger.keys)


def test_values_outside_the_space_write_nothing(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2])
    sink = Sink(merger.keys)
    with pytest.raises(PlanError, match="lies outside"):
        merger.write(same_value(merger.space, 7.0), sink)
    assert not sink.tensors


def test_a_closed_merger_lets_go_of_its_files(checkpoints: Mapping[str, list[Path]], tmp_path: Path) -> None:
    b = make_checkpoint(tmp_path / "b.safetensors", "sd1", 1)
    merger = open_merger("weighted_sum", [checkpoints["sd1"][0], b])
    _write(merger, same_value(merger.space, 0.5))
    merger.close()
    merger.close()
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(b) not in maps.read_text()


# --- self-check and fallback ----------------------------------------------------------------------------------------


def test_a_disagreement_is_seen_and_sd_mecha_itself_takes_over(
    checkpoints: Mapping[str, list[Path]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good = open_merger("weighted_sum", checkpoints["sd1"][:2], plan=IN04)
    _, expected = _write(good, {"IN04_alpha": 0.3})

    def wrong(a: torch.Tensor, b: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        return a * (1 - alpha) + b * alpha  # rounds otherwise

    monkeypatch.setitem(executor._FUSED, "weighted_sum", lambda frame, *steps: wrong(*[step(frame) for step in steps]))
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2], plan=IN04)
    assert "the two disagree" in merger.slow
    assert merger.slow in caplog.text
    report, got = _write(merger, {"IN04_alpha": 0.3})
    assert report.slow == merger.slow
    assert set(report.written) == set(merger.keys)
    assert all(torch.equal(expected[key], got[key]) for key in expected)


@pytest.mark.parametrize("method", ["weighted_sum", "add_ties_with_dare"])
def test_the_fallback_gives_the_same_bits(
    method: str, checkpoints: Mapping[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = checkpoints["sd1"][: 2 if method == "weighted_sum" else 3]
    plan = Guide((ComponentGuide("unet", (Strategy("select", ("IN04", "OUT11")),)),))
    fast = open_merger(method, models, plan=plan)
    values = random_values(fast.space, 5)
    _, expected = _write(fast, values)
    monkeypatch.setattr(selfcheck, "disagreement", lambda *args: "a test says so")
    monkeypatch.setattr("lib_optim.merging.engine.disagreement", selfcheck.disagreement)
    slow = open_merger(method, models, plan=plan)
    assert "a test says so" in slow.slow
    report, got = _write(slow, values)
    assert set(report.written) == set(fast.keys)
    for key in fast.keys:
        assert torch.equal(expected[key], got[key]), key


def test_the_fallback_also_names_nan(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "model.diffusion_model.input_blocks.4.1.norm.weight"
    bad = checkpoint_tensors("sd1", 1)[key] * float("inf")
    b = make_checkpoint(tmp_path / "bad.safetensors", "sd1", 1, replace={key: bad})
    monkeypatch.setattr("lib_optim.merging.engine.disagreement", lambda *args: "a test says so")
    merger = open_merger("weighted_sum", [checkpoints["sd1"][0], b], plan=IN04)
    with pytest.raises(CheckpointError, match="holds NaN or infinity"):
        _write(merger, {"IN04_alpha": 0.5})
