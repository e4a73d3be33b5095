"""Adapters of A1111 and Forge against the test host: other people, buttons, locks, restores (hosts.md section 13)."""

# ruff: noqa: PT012 - what is tested is what leaves these blocks

from __future__ import annotations

import copy
import threading
import time
from typing import Any

import pytest
import torch

from lib_optim.hosts.detect import detect_host, host_name
from lib_optim.plan.errors import HostChanged, HostError, Interrupted, RunError
from tests.hosts.webui_rig import LORA, PARTS, STAMP, Rig, image_job, same
from tests.webui.fixtures import TestHost
from tests.webui.layout import make_checkpoint, sd1_layout


def wait_for(condition: Any, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


def test_detection(webui: TestHost) -> None:
    assert detect_host().id == webui.flavour
    assert host_name() == {"classic": "reforge"}.get(webui.flavour, webui.flavour)


def test_outside_a_webui() -> None:
    assert host_name() is None
    with pytest.raises(HostError, match="no WebUI"):
        detect_host()


# ---------------------------------------------------------------- the lock


def test_the_lock_is_free_after_every_way_out(rig: Rig) -> None:
    lock = rig.webui.queue_lock
    for leave in (lambda: None, lambda: 1 / 0):
        try:
            with rig.host.exclusive():
                assert lock._lock.locked()
                leave()
        except ZeroDivisionError:
            pass
        assert not lock._lock.locked()


def test_giving_up_the_wait_leaves_no_lock_behind(rig: Rig) -> None:
    lock = rig.webui.queue_lock
    lock.acquire()
    with pytest.raises(RunError, match="given up"):
        rig.host.exclusive(give_up=lambda: True).__enter__()
    lock.release()
    for thread in threading.enumerate():
        if thread.name == "optim waits for the queue":
            thread.join(10)
    assert not lock._lock.locked()
    with rig.host.exclusive(give_up=lambda: True):  # free: nothing to wait for
        pass


def test_the_wait_ends_when_the_lock_is_free(rig: Rig) -> None:
    lock = rig.webui.queue_lock
    lock.acquire()
    got = []

    def take() -> None:
        with rig.host.exclusive(give_up=lambda: False):
            got.append(lock._lock.locked())

    waiting = rig.webui.in_background(take)
    wait_for(lambda: lock._pending_threads)
    assert rig.host.others_waiting()
    lock.release()
    waiting.result()
    assert got == [True]
    assert not lock._lock.locked()


def test_19_another_client_waits_one_trial_and_gets_the_base(rig: Rig) -> None:
    base = rig.webui.pixels(seed=7)
    session = rig.open()
    seen = []
    with rig.host.exclusive():
        other = rig.webui.in_background(rig.webui.pixels, seed=7)
        wait_for(rig.host.others_waiting)
        with session.live_weights() as live, rig.host.job("trial"):
            rig.write(live, 0.5)
            rig.pixels()
            assert not other.done()
    for _ in range(3):  # the run goes on at once, and yet does not cut in
        with rig.host.exclusive():
            seen.append(other.done())
    assert other.result() == base
    assert seen == [True, True, True]


# ---------------------------------------------------------------- buttons, progress


@pytest.mark.parametrize("button", ["interrupt", "skip", "ours"])
def test_20_and_21_a_partial_image_never_comes_back(rig: Rig, button: str) -> None:
    base = rig.webui.pixels()
    session = rig.open()
    state = rig.webui.state
    press = {"interrupt": state.interrupt, "skip": state.skip, "ours": rig.host.interrupt}[button]
    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        rig.write(live, 0.5)
        half = rig.pixels()
        rig.webui.step_hooks.append(lambda step: press() if step == 1 else None)
        with pytest.raises(Interrupted):
            rig.pixels()
        rig.webui.step_hooks.clear()
        assert rig.host.stop_requested() == (button == "interrupt")
        assert rig.host.skip_requested() == (button == "skip")
        if button == "interrupt":
            with pytest.raises(Interrupted):
                rig.pixels()
        else:
            assert rig.pixels() == half  # only that one image was meant
    assert rig.host.stop_requested() == (button == "interrupt")
    assert (state.interrupted, state.skipped, state.stopping_generation) == (False, False, False)
    assert rig.webui.pixels() == base
    with rig.host.exclusive(), rig.host.job("next"):
        assert not rig.host.stop_requested()


def test_20_interrupt_after_current_lets_the_image_end(rig: Rig) -> None:
    """With several images planned the host's button first sets another flag."""
    session = rig.open()
    state = rig.webui.state
    with rig.host.exclusive(), session.live_weights(), rig.host.job("trial"):
        base = rig.pixels()
        rig.webui.step_hooks.append(lambda step: state.stop_generating() if step == 1 else None)
        assert rig.pixels() == base
        rig.webui.step_hooks.clear()
        assert rig.host.stop_requested()
        with pytest.raises(Interrupted):
            rig.pixels()


def test_20_a_stop_between_two_images_is_not_lost(rig: Rig) -> None:
    with rig.host.exclusive(), rig.host.job("trial"):
        rig.pixels()
        rig.webui.state.interrupt()
        assert rig.host.stop_requested()
        with pytest.raises(Interrupted):
            rig.pixels()
        assert rig.webui.state.begun == 1


def test_an_interrupt_between_two_jobs_counts_for_the_next(rig: Rig) -> None:
    """Beginning the next job would clear it."""
    rig.open()
    state = rig.webui.state
    for press in (state.interrupt, state.stop_generating):
        with rig.host.exclusive(), rig.host.job("one"):
            rig.host.report("one", 5, 10, 60.0)
        press()
        with rig.host.exclusive(), rig.host.job("two"):
            assert rig.host.stop_requested()
            with pytest.raises(Interrupted):
                rig.pixels()
            assert not rig.host.skip_requested()


def test_an_interrupt_that_was_meant_for_somebody_else_does_not_count(rig: Rig) -> None:
    rig.open()
    state = rig.webui.state
    with rig.host.exclusive(), rig.host.job("one"):
        pass
    state.begin(job="txt2img")
    state.interrupt()  # it stays set when that job ends
    state.end()
    with rig.host.exclusive(), rig.host.job("two"):
        assert not rig.host.stop_requested()
    state.interrupt()  # while the run is paused
    rig.open()
    with rig.host.exclusive(), rig.host.job("three"):
        assert not rig.host.stop_requested()


def test_a_skip_that_comes_too_late_is_not_meant_for_the_next_image(rig: Rig) -> None:
    with rig.host.exclusive(), rig.host.job("trial"):
        base = rig.pixels()
        rig.webui.state.skip()
        assert rig.pixels() == base
        assert not rig.host.skip_requested()


def test_the_time_left_is_that_of_the_run_and_not_of_the_trial(rig: Rig) -> None:
    """The WebUI divides the time since the job began by the part that is done."""
    state = rig.webui.state
    with rig.host.exclusive(), rig.host.job("trial 14"):
        rig.host.report("trial 14/60", 52, 240, 940.0)
        part = state.job_no / state.job_count
        elapsed = time.time() - state.time_start
        assert elapsed / part - elapsed == pytest.approx(940, abs=2)
        for left, done in ((None, 52), (0.0, 240), (940.0, 0)):  # nothing to say, or nothing to divide
            before = state.time_start
            rig.host.report("trial 14/60", done, 240, left)
            assert state.time_start == before


def test_an_interrupt_without_an_image_stops_nothing(rig: Rig) -> None:
    rig.host.interrupt()
    with rig.host.exclusive(), rig.host.job("trial"):
        rig.host.interrupt()
        assert rig.pixels()


def test_an_interrupt_before_the_first_step_is_not_lost(rig: Rig) -> None:
    """The host forgets a skip that comes before its loop begins."""
    processing = rig.webui.module("modules.processing")
    original = processing.process_images

    def process_images(p: Any) -> Any:
        rig.host.interrupt()
        return original(p)

    processing.process_images = process_images
    with rig.host.exclusive(), rig.host.job("trial"), pytest.raises(Interrupted):
        rig.pixels()


def test_28_progress_and_preview(rig: Rig) -> None:
    seen: list[Any] = []
    progress = rig.webui.module("modules.progress")
    processing = rig.webui.module("modules.processing")
    original = processing.process_images

    def process_images(p: Any) -> Any:
        seen.append(rig.host.progress())
        return original(p)

    processing.process_images = process_images
    with rig.host.exclusive(), rig.host.job("Optim trial 3"):
        assert rig.webui.state.job == "Optim trial 3"
        assert progress.current_task == rig.host.task_id != ""
        rig.host.report("trial 3/12", 4, 10)
        rig.webui.step_hooks.append(lambda step: seen.append(rig.host.progress()))
        rig.pixels(steps=4)
        rig.webui.step_hooks.clear()
        assert rig.webui.state.textinfo == "trial 3/12"
        assert (rig.webui.state.job_no, rig.webui.state.job_count) == (5, 10)
        assert rig.host.progress() is None
        rig.host.report("trial 3/12", 5, 10)
        rig.pixels(enable_hr=True)
        assert rig.webui.state.job_count == 10
        task = rig.host.task_id
    assert [(p.step, p.steps) for p in seen] == [(0, 4), *((i, 4) for i in range(4)), (0, 3)]
    assert seen[0].preview is None
    assert seen[4].preview[:2] == b"\xff\xd8"
    assert seen[5].preview is None  # not that of the image before
    assert rig.host.task_id == ""
    assert task in progress.finished_tasks
    assert rig.webui.state.job_count == 0


def test_22_the_main_thread_answers_during_a_run_on_forge(rig_f: Rig) -> None:
    session = rig_f.open()
    main_thread = rig_f.webui.module("modules_forge.main_thread")
    threads = []
    with rig_f.host.exclusive(), session.live_weights(), rig_f.host.job("trial"):
        rig_f.webui.step_hooks.append(lambda step: threads.append(threading.current_thread()))
        rig_f.pixels()
        assert rig_f.webui.in_background(main_thread.run_and_wait_result, lambda: 42).result(5) == 42
    assert set(threads) == {main_thread.thread}


# ---------------------------------------------------------------- others change the host


def choose(rig: Rig, name: str) -> Any:
    return rig.webui.in_background(rig.webui.post_options, sd_model_checkpoint=f"{name}.safetensors")


@pytest.mark.parametrize("own_config", [False, True], ids=["same object", "rebuilt"])
@pytest.mark.parametrize("when", ["between images", "mid image"])
def test_16_another_checkpoint_is_chosen_during_a_trial(rig: Rig, when: str, own_config: bool) -> None:
    """The trial ends under its own weights; the next does not begin; the user's choice stands."""
    if own_config:
        (rig.webui.checkpoints / "b.yaml").write_text("model: own\n")
    rig.webui.pixels()
    session = rig.open()
    half = rig.trial(session, 0.5)
    chosen: list[Any] = []

    def change(step: int = 1) -> None:
        if step == 1 and not chosen:
            chosen.append(choose(rig, "b"))
            wait_for(lambda: rig.webui.opts.sd_model_checkpoint == "b.safetensors")
            time.sleep(0.05)

    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        rig.write(live, 0.5)
        if when == "mid image":
            rig.webui.step_hooks.append(change)
        else:
            change()
        assert rig.pixels() == half
        rig.webui.step_hooks.clear()
        assert rig.pixels() == half
    chosen[0].result()
    with rig.host.exclusive():
        with pytest.raises(HostChanged, match=r"b.*chosen"):
            session.live_weights().__enter__()
        with pytest.raises(HostChanged):
            session.check()
        session.close()
    assert rig.webui.opts.sd_model_checkpoint in ("b.safetensors", rig.checkpoint("b").title)
    assert rig.webui.pixels() == rig.from_disk("b")
    rig.webui.post_options(sd_model_checkpoint="a.safetensors")
    assert rig.webui.pixels() == rig.from_disk("a")


def test_16_a_reload_inside_generation_is_noticed(rig: Rig) -> None:
    """The host swaps the model between our guard and its own loop: nothing is scored, nothing foreign is written."""
    rig.webui.pixels()
    session = rig.open()
    processing = rig.webui.module("modules.processing")
    inner = processing.process_images

    def process_images(p: Any) -> Any:
        if rig.webui.loads_as_a1111:
            p.override_settings.clear()
            rig.webui.opts.data["sd_model_checkpoint"] = "b.safetensors"
        else:
            rig.webui.post_options(sd_model_checkpoint="b.safetensors")
        return inner(p)

    processing.process_images = process_images
    images = []
    with rig.host.exclusive(), pytest.raises(HostChanged), session.live_weights() as live, rig.host.job("trial"):
        rig.write(live, 0.5)
        images.append(rig.pixels())
    assert images == []  # it must not reach a scorer
    processing.process_images = inner
    assert rig.webui.pixels() == rig.from_disk("b")
    rig.webui.post_options(sd_model_checkpoint="a.safetensors")
    assert rig.webui.pixels() == rig.from_disk("a")


def test_16_a_reload_into_the_same_object_is_noticed_on_a1111(rig_a: Rig) -> None:
    """A setting makes the host read its file again: same object, same file, base weights."""
    session = rig_a.open()
    with rig_a.host.exclusive():
        with pytest.raises(HostChanged, match="anew"), session.live_weights() as live, rig_a.host.job("trial"):
            rig_a.write(live, 0.5)
            rig_a.webui.opts.data["fp8_storage"] = "Enable"
            rig_a.pixels()
        session.check(thorough=True)
    assert rig_a.trial(session, 0.0) == rig_a.webui.pixels()


def test_26_models_kept_in_memory_never_keep_a_merge(rig_a: Rig) -> None:
    rig_a.webui.opts.data["sd_checkpoints_limit"] = 2
    base = rig_a.webui.pixels()
    session = rig_a.open()
    processing = rig_a.webui.module("modules.processing")
    inner = processing.process_images

    def process_images(p: Any) -> Any:
        p.override_settings.clear()
        rig_a.webui.opts.data["sd_model_checkpoint"] = "b.safetensors"
        return inner(p)

    processing.process_images = process_images
    with rig_a.host.exclusive(), pytest.raises(HostChanged), session.live_weights() as live, rig_a.host.job("trial"):
        rig_a.write(live, 0.5)
        rig_a.pixels()
    processing.process_images = inner
    rig_a.webui.post_options(sd_model_checkpoint="a.safetensors")  # the very object that was merged into
    assert rig_a.webui.pixels() == base


def test_a_request_with_another_checkpoint_between_trials_is_no_reason_to_stop(rig: Rig) -> None:
    """18: the model object is made anew, or holds other weights meanwhile."""
    rig.webui.pixels()
    session = rig.open()
    half, base = rig.trial(session, 0.5), rig.webui.pixels()
    for own_config in (False, True):
        if own_config:
            (rig.webui.checkpoints / "b.yaml").write_text("model: own\n")
        rig.webui.pixels(override_settings={"sd_model_checkpoint": "b"})
        assert rig.trial(session, 0.5) == half
        rig.webui.pixels(override_settings={"sd_model_checkpoint": "b"})
        with rig.host.exclusive():
            session.check(thorough=True)
        assert rig.webui.pixels() == base


def test_17_a_refreshed_list_changes_nothing(rig: Rig) -> None:
    rig.webui.pixels()
    session = rig.open()
    half = rig.trial(session, 0.5)
    rig.webui.refresh_checkpoints()
    assert rig.trial(session, 0.5) == half
    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        rig.write(live, 0.5)
        rig.webui.refresh_checkpoints()
        if rig.webui.flavour == "forge":  # new list objects make Forge take the same choice for another one
            rig.webui.module("modules_forge.main_entry").refresh_model_loading_parameters()
        model = rig.webui.model
        assert rig.pixels() == half
        assert rig.webui.model is model
    assert rig.trial(session, 0.5) == half


def test_a_checkpoint_taken_off_the_list_is_noticed(rig_a: Rig) -> None:
    """A1111 drops an unknown title silently and generates with the user's choice."""
    session = rig_a.open()
    with (
        rig_a.host.exclusive(),
        pytest.raises(HostChanged, match="list"),
        session.live_weights() as live,
        rig_a.host.job("x"),
    ):
        rig_a.write(live, 0.5)
        (rig_a.webui.checkpoints / "a.safetensors").rename(rig_a.webui.folder / "away")
        rig_a.webui.refresh_checkpoints()
        try:
            rig_a.pixels()
        finally:
            (rig_a.webui.folder / "away").rename(rig_a.webui.checkpoints / "a.safetensors")
            rig_a.webui.refresh_checkpoints()


def test_25_a_true_reload_is_adopted(rig: Rig) -> None:
    rig.webui.pixels()
    session = rig.open()
    half, base = rig.trial(session, 0.5), rig.webui.pixels()
    rig.webui.reload_from_disk()
    assert rig.trial(session, 0.5) == half
    assert rig.webui.pixels() == base


def test_weights_changed_by_somebody_else_are_noticed(rig: Rig) -> None:
    rig.webui.pixels()
    session = rig.open()
    with rig.host.exclusive():
        session.check(thorough=True)
        model = rig.webui.model
        root = model if rig.webui.flavour == "a1111" else model.forge_objects.unet.model
        with torch.inference_mode():
            for parameter in root.parameters():
                parameter.mul_(1.5)
        with pytest.raises(HostChanged, match="Somebody else"):
            session.check()
        with pytest.raises(HostChanged, match="Somebody else"):
            session.live_weights().__enter__()


def test_another_vae_between_trials_is_noticed(rig: Rig) -> None:
    rig.webui.pixels()
    session = rig.open()
    rig.trial(session, 0.5)
    if rig.webui.loads_as_a1111:
        rig.webui.post_options(sd_vae="other.safetensors")
    else:
        rig.webui.post_options(forge_additional_modules=["other.safetensors"])
    with rig.host.exclusive(), pytest.raises(HostChanged, match="VAE"):
        session.live_weights().__enter__()


def test_a_page_load_on_forge_changes_nothing(rig_f: Rig) -> None:
    session = rig_f.open()
    half = rig_f.trial(session, 0.5, LORA)
    entry = rig_f.webui.module("modules_forge.main_entry")
    with rig_f.host.exclusive(), session.live_weights() as live, rig_f.host.job("trial"):
        rig_f.write(live, 0.5)
        for _ in range(2):
            entry.refresh_models()
            entry.refresh_memory_management_settings()
            assert rig_f.pixels(LORA) == half


# ---------------------------------------------------------------- load, restore, refuse


def test_30_the_first_state_comes_back(rig: Rig) -> None:
    """A is not the loaded checkpoint, and another VAE is selected."""
    rig.webui.post_options(sd_model_checkpoint="b.safetensors")
    if rig.webui.loads_as_a1111:
        rig.webui.post_options(sd_vae="other.safetensors")
    else:
        rig.webui.post_options(forge_additional_modules=["other.safetensors"])
    first = rig.webui.pixels()
    before, options = rig.bits(), copy.deepcopy(rig.webui.opts.data)
    config = (rig.webui.folder / "config.json").read_bytes()
    state = rig.host.state()
    assert state.checkpoint == rig.checkpoint("b").title
    session = rig.open()
    base = rig.webui.pixels()
    assert base != first  # everybody gets the run's base while it runs
    rig.trial(session, 0.5)
    assert rig.webui.pixels() == base
    for _ in range(2):
        with rig.host.exclusive():
            session.close()
            rig.host.restore(state)
        assert rig.webui.opts.data == options
        assert rig.host.state() == state
        assert same(rig.bits(), before)
    assert rig.webui.pixels() == first
    assert (rig.webui.folder / "config.json").read_bytes() == config


def test_30_settings_never_saved_stay_unsaved(rig: Rig) -> None:
    rig.webui.pixels()
    options = copy.deepcopy(rig.webui.opts.data)
    assert "CLIP_stop_at_last_layers" not in options
    state = rig.host.state()
    session = rig.open()
    rig.trial(session, 0.5, clip_skip=2, override_settings={"eta_noise_seed_delta": 31337})
    with rig.host.exclusive():
        rig.host.restore(state)
    assert rig.webui.opts.data == options
    assert not (rig.webui.folder / "config.json").exists()


def test_restore_lets_the_users_choice_stand(rig: Rig) -> None:
    make_checkpoint(rig.webui.checkpoints / "c.safetensors", sd1_layout(), seed=3)
    rig.webui.refresh_checkpoints()
    rig.webui.pixels()
    state = rig.host.state()
    with rig.host.exclusive():
        rig.host.load(rig.b)
    rig.webui.post_options(sd_model_checkpoint="c.safetensors")
    rig.webui.post_options(sd_vae="None")
    with rig.host.exclusive():
        rig.host.restore(state)
    if rig.webui.flavour == "a1111":
        assert rig.webui.model.sd_checkpoint_info.name == "c.safetensors"
    assert rig.webui.opts.sd_model_checkpoint in ("c.safetensors", rig.checkpoint("c").title)
    assert rig.webui.opts.sd_vae == "None"
    assert rig.webui.pixels() == rig.from_disk("c")


def test_others_get_the_base_during_a_run_that_found_it_loaded(rig_a: Rig) -> None:
    """The base is loaded, by somebody's override, and another checkpoint is chosen."""
    base = rig_a.webui.pixels(override_settings={"sd_model_checkpoint": "b"})
    state = rig_a.host.state()
    with rig_a.host.exclusive():
        rig_a.host.load(rig_a.b)
    assert rig_a.webui.pixels() == base
    with rig_a.host.exclusive():
        rig_a.host.restore(state)
    assert rig_a.host.state() == state


def test_a_vae_that_no_setting_names_comes_back(rig_a: Rig) -> None:
    sd_vae = rig_a.webui.module("modules.sd_vae")
    rig_a.webui.post_options(sd_model_checkpoint="b.safetensors")
    sd_vae.reload_vae_weights(rig_a.webui.model, sd_vae.vae_dict["other.safetensors"])
    first, state = rig_a.webui.pixels(), rig_a.host.state()
    with rig_a.host.exclusive():
        rig_a.host.load(rig_a.a)
    assert sd_vae.loaded_vae_file is None
    with rig_a.host.exclusive():
        rig_a.host.restore(state)
    assert rig_a.host.state() == state
    assert rig_a.webui.pixels() == first


def test_a_model_loaded_by_an_override_comes_back_too(rig_a: Rig) -> None:
    """The loaded model need not be the chosen one."""
    rig_a.webui.pixels(override_settings={"sd_model_checkpoint": "b"})
    state, options = rig_a.host.state(), copy.deepcopy(rig_a.webui.opts.data)
    rig_a.open()
    with rig_a.host.exclusive():
        rig_a.host.restore(state)
    assert rig_a.webui.model.sd_checkpoint_info.name == "b.safetensors"
    assert rig_a.webui.opts.data == options


def test_29_first_use_with_nothing_loaded(rig: Rig) -> None:
    sd_models = rig.webui.module("modules.sd_models")
    if rig.webui.loads_as_a1111:
        sd_models.model_data.sd_model = None
        sd_models.model_data.loaded_sd_models.clear()
        sd_models.model_data.was_loaded_at_least_once = False
    state = rig.host.state()
    loaded = sd_models.model_data.sd_model
    assert loaded is None or type(loaded).__name__ == "FakeInitialModel"  # state() loads nothing
    with rig.host.exclusive(), pytest.raises(HostError, match="no model loaded"):
        rig.host.open_session(rig.a, PARTS)
    session = rig.open()
    assert rig.trial(session, 0.5) != rig.webui.pixels()
    with rig.host.exclusive():
        rig.host.restore(state)


def test_29_a_checkpoint_that_does_not_load(rig: Rig) -> None:
    base = rig.webui.pixels()
    state = rig.host.state()
    rig.webui.module("modules.sd_models").fail_loading.append("b.safetensors")
    with rig.host.exclusive():
        with pytest.raises(HostError, match="could not load b"):
            rig.host.load(rig.b)
        rig.host.restore(state)
    assert rig.webui.pixels() == base
    assert "a.safetensors" in rig.webui.opts.sd_model_checkpoint


def test_a_missing_checkpoint_is_named(rig: Rig) -> None:
    rig.b.path.unlink()
    with rig.host.exclusive(), pytest.raises(HostError, match=r"b\.safetensors"):
        rig.host.load(rig.b)


def test_sessions_open_only_on_the_loaded_base(rig: Rig) -> None:
    with rig.host.exclusive():
        rig.host.load(rig.a)
        with pytest.raises(HostError, match="load the base first"):
            rig.host.open_session(rig.b, PARTS)


@pytest.mark.parametrize("kind", ["fp8", "fp16 copies", "unet", "hypernetwork"])
def test_24_a1111_models_that_cannot_be_merged_into(rig_a: Rig, kind: str) -> None:
    before = rig_a.webui.parameters()
    model = rig_a.webui.model
    if kind == "fp8":
        weight = model.model.diffusion_model.out._modules["2"].weight
        weight.data = weight.data.to(torch.float8_e4m3fn)
    elif kind == "fp16 copies":
        model.model.diffusion_model.out._modules["2"].fp16_weight = torch.zeros(1)
    elif kind == "unet":
        rig_a.webui.module("modules.sd_unet").current_unet = object()
    else:
        rig_a.webui.opts.data["sd_hypernetwork"] = "anime"
    with rig_a.host.exclusive(), pytest.raises(HostError) as error:
        rig_a.host.open_session(rig_a.a, PARTS)
    assert str(error.value).count(".") <= 2
    if kind != "fp8":
        assert same(rig_a.webui.parameters(), before)


@pytest.mark.parametrize("kind", ["nf4", "bnb", "gguf", "scaled"])
def test_24_forge_models_that_cannot_be_merged_into(rig_f: Rig, kind: str) -> None:
    rig_f.webui.pixels()
    before = rig_f.webui.parameters()
    unet = rig_f.webui.model.forge_objects_original.unet.model
    weight = next(unet.parameters())
    if kind == "nf4":
        unet.storage_dtype = "nf4"
    elif kind == "bnb":
        weight.bnb_quantized = True
    elif kind == "gguf":
        weight.gguf_cls = object
    else:
        unet.diffusion_model.scale_weight = torch.ones(1)
    with rig_f.host.exclusive(), pytest.raises(HostError, match="stored in"):
        rig_f.host.open_session(rig_f.a, PARTS)
    assert same(rig_f.webui.parameters(), before)


def test_capabilities_and_paths(rig: Rig) -> None:
    capabilities = rig.host.capabilities()
    assert {"prompt", "seed", "clip_skip", "enable_hr"} <= capabilities.payload_fields
    assert "Euler" in capabilities.samplers
    told = rig.webui.flavour != "classic"  # whose samplers have their schedule in the name
    assert ("scheduler" in capabilities.payload_fields) == told
    assert capabilities.schedulers[:1] == (("Automatic",) if told else ())
    paths = rig.host.paths()
    assert paths.outputs == rig.webui.folder / "outputs" / "optim"
    assert paths.models == rig.webui.checkpoints
    rig.webui.opts.data["optim_outputs"] = "elsewhere"
    assert rig.host.paths().outputs == rig.webui.folder / "elsewhere"


def test_checkpoints_are_listed_with_hash_once_known(rig: Rig) -> None:
    rig.webui.pixels()
    listed = {c.path.name: c for c in rig.host.checkpoints()}
    assert set(listed) == {"a.safetensors", "b.safetensors"}
    assert len(listed["a.safetensors"].sha256) == 64
    assert listed["b.safetensors"].sha256 == ""
    (rig.webui.checkpoints / "c.safetensors").write_bytes(rig.b.path.read_bytes())
    assert len(rig.host.checkpoints()) == 2
    assert len(rig.host.checkpoints(refresh=True)) == 3


def test_free_memory_and_on(rig: Rig) -> None:
    session = rig.open()
    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        rig.write(live, 0.5)
        half = [rig.pixels(), rig.pixels(LORA)]
        rig.host.free_memory()
        assert [rig.pixels(), rig.pixels(LORA)] == half


def test_a_closed_session_writes_nothing(rig: Rig) -> None:
    session = rig.open()
    session.close()
    session.close()
    with rig.host.exclusive(), pytest.raises(RunError, match="closed"):
        session.live_weights().__enter__()


def test_stamp_and_job_index_do_not_change_pixels(rig: Rig) -> None:
    with rig.host.exclusive(), rig.host.job("x"):
        rig.host.load(rig.a)
        one = rig.host.generate(image_job(), STAMP).image.tobytes()
        other = rig.host.generate(image_job(), {}).image.tobytes()
    assert one == other


def test_the_list_is_whole_while_the_webui_makes_it_anew(rig: Rig) -> None:
    """Forge does so at every page load, which is when our page asks for it."""
    from modules import sd_models

    whole = dict(sd_models.checkpoints_list)
    some = dict(list(whole.items())[:1])

    def anew() -> None:
        for listed in ({}, some, whole):
            sd_models.checkpoints_list.clear()
            sd_models.checkpoints_list.update(listed)
            time.sleep(0.015)

    thread = threading.Thread(target=anew)
    sd_models.checkpoints_list.clear()
    thread.start()
    listed = rig.host.checkpoints()
    thread.join()
    assert len(listed) == len(whole)
