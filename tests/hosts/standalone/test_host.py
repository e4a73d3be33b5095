# ruff: noqa: SIM118 - live weights are no mapping
"""The host's queue, its listing, and generation."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_optim.hosts.base import Checkpoint
from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.hosts.standalone.samplers import SAMPLERS
from lib_optim.plan.errors import HostError, Interrupted, PlanError, RunError
from tests.hosts.standalone.conftest import job_of, pixels


def test_same_job_same_pixels_and_every_setting_matters(host: StandaloneHost) -> None:
    changes = {
        "seed": 4, "prompt": "a blue fox", "negative_prompt": "bad", "cfg_scale": 9.0, "steps": 5, "width": 72,
        "sampler_name": "Euler", "scheduler": "Karras", "clip_skip": 2, "subseed_strength": 0.3,
    }  # fmt: skip
    with host.exclusive():
        image = pixels(host, steps=4)
        assert pixels(host, steps=4) == image
        for name, value in changes.items():
            assert pixels(host, **{"steps": 4, name: value}) != image, name
        assert pixels(host, cfg_scale=1.0, negative_prompt="x") == pixels(host, cfg_scale=1.0)
        assert pixels(host, steps=4) == image
    assert set(changes) <= host.capabilities().payload_fields


@pytest.mark.parametrize("row", SAMPLERS, ids=lambda row: row.title)
def test_every_sampler_makes_its_own_image(host: StandaloneHost, row) -> None:
    with host.exclusive():
        image = pixels(host, sampler_name=row.title, steps=4)
        assert image == pixels(host, sampler_name=row.title, steps=4)
        assert len(set(image)) > 50, "flat"
        assert pixels(host, sampler_name=row.title, steps=1)
        if row.karras == "no":
            with pytest.raises(HostError, match="Karras"):
                pixels(host, sampler_name=row.title, scheduler="Karras")
        else:
            karras = pixels(host, sampler_name=row.title, steps=4, scheduler="Karras")
            assert (karras == image) == (row.automatic == "Karras")


def test_demo_images_are_worth_looking_at(host: StandaloneHost) -> None:
    images = {}
    with host.exclusive():
        for checkpoint in host.checkpoints():
            host.load(checkpoint)
            for prompt in ("a red fox in the snow", "city at night"):
                for seed in (1, 2):
                    data = pixels(host, prompt=prompt, seed=seed, steps=5)
                    images[checkpoint.title, prompt, seed] = torch.tensor(list(data)).float().reshape(64, 64, 3)
    for image in images.values():
        assert image.std() > 30, "nearly uniform"
        roughness = (image[1:] - image[:-1]).abs().mean() / image.std()
        assert roughness < 0.5, "noise"
    keys = list(images)
    for i, one in enumerate(keys):
        for other in keys[i + 1 :]:
            assert (images[one] - images[other]).square().mean().sqrt() > 15, (one, other)


def test_refusals_name_what_they_refuse(host: StandaloneHost) -> None:
    with host.exclusive():
        for fields, sentence in (
            ({"prompt": "fox <lora:thing:0.8>"}, "<lora:thing:0.8>"),
            ({"prompt": "[fox:cat:0.5]"}, "prompt editing"),
            ({"prompt": "fox AND cat"}, "AND"),
            ({"enable_hr": True}, "enable_hr"),
            ({"tiling": True, "eta": 0.5}, "tiling, eta"),
            ({"sampler_name": "Euler b"}, "Euler b"),
            ({"scheduler": "SGM Uniform"}, "SGM Uniform"),
        ):
            with pytest.raises(HostError) as caught:
                pixels(host, **fields)
            assert sentence in str(caught.value)


def test_infotext_names_settings_and_stamp(host: StandaloneHost) -> None:
    with host.exclusive(), host.job("x"):
        text = host.generate(
            job_of(negative_prompt="blurry"), {"Optim trial": "run 12", "Optim recipe": "1f3a"}
        ).infotext
    lines = text.split("\n")
    assert lines[:2] == ["a red fox", "Negative prompt: blurry"]
    assert lines[2].startswith(
        "Steps: 2, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 3, Size: 64x64"
    )
    assert "Optim trial: run 12, Optim recipe: 1f3a" in lines[2]
    assert "Model: demo-a" in lines[2]


def test_interrupt_ends_within_a_step(host: StandaloneHost) -> None:
    seen = threading.Event()
    result: list[object] = []

    def work() -> None:
        with host.exclusive(), host.job("long"):
            try:
                result.append(host.generate(job_of(steps=150, width=128, height=128), {}))
            except Interrupted as error:
                result.append(error)
                result.append(host.stop_requested())
                seen.set()

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 20
    while (host.progress() is None or host.progress().step < 2) and time.monotonic() < deadline:
        time.sleep(0.01)
    begin = time.monotonic()
    host.interrupt()
    assert seen.wait(10)
    assert time.monotonic() - begin < 5
    thread.join()
    assert isinstance(result[0], Interrupted)
    assert result[1] is False
    with host.exclusive():
        assert pixels(host)  # nothing sticks
        with host.job("x"):
            host.press_interrupt()
            assert host.stop_requested()
        with host.job("y"):
            assert not host.stop_requested()


def test_the_queue_is_fair_and_tells_who_waits(host: StandaloneHost) -> None:
    order: list[int] = []

    def work(number: int) -> None:
        with host.exclusive():
            order.append(number)

    threads = []
    with host.exclusive():
        assert not host.others_waiting()
        with pytest.raises(RunError, match="already"), host.exclusive():
            pass
        for number in range(4):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            deadline = time.monotonic() + 5
            while len(host._lock._queue) <= number and time.monotonic() < deadline:
                time.sleep(0.002)
        assert host.others_waiting()
        given_up: list[RunError] = []

        def give_up() -> None:
            try:
                with host.exclusive(lambda: True):
                    order.append(-1)
            except RunError as error:
                given_up.append(error)

        impatient = threading.Thread(target=give_up)
        impatient.start()
        impatient.join(5)
        assert given_up
    for thread in threads:
        thread.join(5)
    assert order == [0, 1, 2, 3]
    with host.exclusive():
        pass


def test_a_foreign_request_waits_and_sees_the_base(host: StandaloneHost, demo_folder: Path) -> None:
    other = load_file(demo_folder / "demo-b.safetensors")
    payload = {"prompt": "a red fox", "seed": 3, "steps": 2, "width": 64, "height": 64}
    base = host.txt2img(payload).tobytes()
    got: list[bytes] = []
    with host.exclusive():
        session = host.open_session(host.checkpoints()[0], frozenset({"unet"}))
        with session.live_weights() as live:
            for key in live.keys():
                live.write(key, other[key])
            thread = threading.Thread(target=lambda: got.append(host.txt2img(payload).tobytes()))
            thread.start()
            time.sleep(0.1)
            assert host.others_waiting()
            merged = pixels(host)
            assert not got
    thread.join(10)
    assert got == [base]
    assert merged != base
    session.close()
    with pytest.raises(PlanError):
        host.txt2img({"promt": "x"})


def test_restore_brings_the_first_state_back(host: StandaloneHost) -> None:
    first, second = host.checkpoints()
    before = host.state()
    assert before.checkpoint == first.title
    with host.exclusive():
        image = pixels(host)
        host.load(second)
        assert host.state().checkpoint == second.title
        assert pixels(host) != image
        host.restore(before)
        model = host.model()
        host.restore(before)
        assert host.model() is model
        assert host.state() == before
        assert pixels(host) == image


def test_nothing_loaded_is_a_state_too(demo_folder: Path, tmp_path: Path) -> None:
    host = StandaloneHost(tmp_path, demo_folder, device="cpu")
    before = host.state()
    assert before.checkpoint is None
    with host.exclusive():
        with host.job("x"), pytest.raises(HostError, match="No checkpoint is loaded"):
            host.generate(job_of(), {})
        host.load(host.checkpoints()[0])
        host.restore(before)
    assert host.model() is None
    assert host.txt2img({"steps": 1, "width": 64, "height": 64}).size == (64, 64)


def test_a_dirty_or_replaced_model_is_read_again(demo_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tensors = load_file(demo_folder / "demo-a.safetensors")
    save_file(tensors, path)
    host = StandaloneHost(tmp_path / "data", tmp_path, device="cpu")
    (checkpoint,) = host.checkpoints()
    with host.exclusive():
        host.load(checkpoint)
        model, image = host.model(), pixels(host)
        host.load(checkpoint)
        assert host.model() is model
        model.tensor("unet.conv_in.weight").data.zero_()
        model.dirty = True
        host.load(checkpoint)
        assert host.model() is not model
        assert pixels(host) == image
        save_file(load_file(demo_folder / "demo-b.safetensors"), path)
        host.load(checkpoint)
        assert pixels(host) != image


def test_files_that_do_not_load_say_why(demo_folder: Path, tmp_path: Path) -> None:
    tensors = load_file(demo_folder / "demo-a.safetensors")
    lacking = {k: v for k, v in tensors.items() if not k.endswith("middle_block.1.norm.weight")}
    save_file(lacking, tmp_path / "lacking.safetensors")
    save_file({"lora.down.weight": torch.zeros(2, 2)}, tmp_path / "lora.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((demo_folder / "demo-a.safetensors").read_bytes()[:100_000])
    host = StandaloneHost(tmp_path / "data", tmp_path, device="cpu")
    sentences = {
        "cut": "truncated", "lacking": "lacks 1 tensors", "lora": "no checkpoint of a known architecture",
        "gone": "does not exist",
    }  # fmt: skip
    with host.exclusive():
        for name, sentence in sentences.items():
            with pytest.raises(HostError, match=sentence):
                host.load(Checkpoint(name, tmp_path / f"{name}.safetensors"))
            assert host.model() is None


def test_demo_checkpoints_come_with_an_empty_models_folder(tmp_path: Path) -> None:
    host = StandaloneHost(tmp_path)
    assert [c.title for c in host.checkpoints()] == ["demo-a.safetensors", "demo-b.safetensors"]
    assert all(c.path.stat().st_size < 40e6 for c in host.checkpoints())
    assert not StandaloneHost(tmp_path / "x", tmp_path / "empty").checkpoints()
