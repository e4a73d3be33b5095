"""The test host keeps the contracts, traps included: else tests against it prove nothing."""

from __future__ import annotations

import time

import pytest
import torch

from tests.webui.fixtures import TestHost

LORA = "a cat <lora:lora:1>"


def test_images_depend_on_prompt_seed_lora_and_checkpoint(webui: TestHost) -> None:
    base = webui.pixels()
    assert webui.pixels() == base
    others = [webui.pixels("a dog"), webui.pixels(seed=2), webui.pixels(LORA)]
    assert webui.pixels() == base
    override = {"sd_model_checkpoint": "b"}
    others.append(webui.pixels(override_settings=override))
    assert webui.pixels() == base
    assert len({base, *others}) == 5


def test_every_parameter_shows_in_the_image(webui: TestHost) -> None:
    base = webui.pixels(enable_hr=False)
    model = webui.model
    if webui.flavour == "a1111":
        named = dict(model.named_parameters())
    else:
        o = model.forge_objects_original
        named = dict(o.unet.model.named_parameters()) | dict(o.clip.cond_stage_model.named_parameters())
    for name in list(named)[:: len(named) // 12]:
        webui.module("modules.processing").StableDiffusionProcessing().clear_prompt_cache()
        saved = named[name].detach().clone()
        with torch.inference_mode():
            named[name].view(-1)[0] += 0.01
        changed = webui.pixels()
        with torch.inference_mode():
            named[name].copy_(saved)
        assert changed != base, name
    webui.module("modules.processing").StableDiffusionProcessing().clear_prompt_cache()
    assert webui.pixels() == base


def test_flags_are_sticky_and_an_interrupted_image_is_partial(webui: TestHost) -> None:
    processing, state = webui.module("modules.processing"), webui.state
    whole = webui.pixels()
    webui.step_hooks.append(lambda step: state.interrupt() if step == 1 else None)
    assert webui.pixels() != whole
    webui.step_hooks.clear()
    assert state.interrupted  # also past end()
    p = processing.StableDiffusionProcessingTxt2Img(prompt="a cat", seed=1, steps=2, width=16, height=16)
    assert processing.process_images(p).images == []
    assert webui.pixels() == whole  # begin() clears


def test_the_prompt_cache_knows_no_weights(webui: TestHost) -> None:
    webui.pixels()  # Forge's first image after a load does not fill the cache
    base = webui.pixels()
    if webui.flavour == "a1111":
        text = webui.model.cond_stage_model
    else:
        text = webui.model.forge_objects.clip.cond_stage_model
    for parameter in text.parameters():
        parameter.data.mul_(0.5)
    assert webui.pixels() == base


def test_an_override_of_a_setting_never_saved_stays(webui: TestHost) -> None:
    webui.pixels(override_settings={"CLIP_stop_at_last_layers": 2})
    assert webui.opts.CLIP_stop_at_last_layers == 2


def test_a_lora_undoes_a_write_on_a1111(a1111: TestHost) -> None:
    base = a1111.pixels()
    a1111.pixels(LORA)
    layer = dict(a1111.model.named_modules())["model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q"]
    layer.weight.data.zero_()
    assert a1111.pixels() == base


def test_forge_tensors_are_inference_tensors(forge: TestHost) -> None:
    forge.pixels()
    weight = next(forge.model.forge_objects.unet.model.parameters())
    assert weight.is_inference()
    with pytest.raises(RuntimeError):
        weight.copy_(torch.zeros_like(weight))
    before = weight.detach().clone()
    with torch.no_grad(), pytest.raises(RuntimeError, match=r"[Ii]nference"):
        weight.copy_(torch.zeros_like(weight))
    assert not torch.equal(weight, before)  # it raised, and yet changed the value


def test_forge_unbaked_without_unload_never_applies_the_lora_again(forge: TestHost) -> None:
    base, with_lora = forge.pixels(), forge.pixels(LORA)
    unet = forge.model.forge_objects_original.unet
    clip = forge.model.forge_objects_original.clip.patcher
    for patcher in (unet, clip):
        patcher.lora_loader.refresh(lora_patches={}, offload_device=patcher.offload_device, force_refresh=True)
    forge.module("modules.processing").StableDiffusionProcessing().clear_prompt_cache()
    assert forge.pixels(LORA) == base
    for patcher in (unet, clip):
        forge.module("backend.memory_management").unload_model_clones(patcher)
    forge.module("modules.processing").StableDiffusionProcessing().clear_prompt_cache()
    assert forge.pixels(LORA) == with_lora


def test_reloads_that_do_nothing(a1111: TestHost) -> None:
    base, model, sd_models = a1111.pixels(), a1111.model, a1111.module("modules.sd_models")
    for parameter in model.first_stage_model.parameters():
        parameter.data.mul_(2)
    dirty = a1111.pixels()
    assert dirty != base
    sd_models.reload_model_weights(None, model.sd_checkpoint_info)
    assert a1111.pixels() == dirty
    a1111.reload_from_disk()
    assert a1111.model is model
    assert a1111.pixels() == base


def test_a1111_shares_or_rebuilds_the_model_object(a1111: TestHost) -> None:
    model = a1111.model
    a1111.post_options(sd_model_checkpoint="b.safetensors")
    assert a1111.model is model
    (a1111.checkpoints / "a.yaml").write_text("model: own\n")
    a1111.post_options(sd_model_checkpoint="a.safetensors")
    assert a1111.model is not model
    assert next(model.parameters()).is_meta


def test_forge_loads_lazily_and_reloads_into_a_new_object(forge: TestHost) -> None:
    assert type(forge.model).__name__ == "FakeInitialModel"
    base = forge.pixels()
    model = forge.model
    forge.reload_from_disk()
    assert forge.model is not model
    assert forge.pixels() == base


def test_forge_main_thread_hides_errors(forge: TestHost) -> None:
    main_thread = forge.module("modules_forge.main_thread")
    assert main_thread.run_and_wait_result(lambda: 1 / 0) is None
    assert isinstance(main_thread.last_exception, ZeroDivisionError)


def test_a_releaser_that_comes_straight_back_cuts_in(webui: TestHost) -> None:
    lock = webui.queue_lock
    cut_in = 0
    for _ in range(30):
        lock.acquire()
        waiting = webui.in_background(lock.acquire)
        while not lock._pending_threads:
            time.sleep(0)
        lock.release()
        cut_in += lock.acquire(blocking=False)  # and the waiter is no longer in the queue
        if not waiting.done() and lock._lock.locked() and cut_in:
            assert not lock._pending_threads
            lock.release()
        waiting.result()
        lock.release()
        if cut_in:
            break
    assert cut_in


def test_sdxl_names(webui_xl: TestHost) -> None:
    base = webui_xl.pixels()
    assert webui_xl.pixels(override_settings={"sd_model_checkpoint": "b"}) != base
    if webui_xl.flavour == "forge":
        names = [n for n, _ in webui_xl.model.forge_objects.clip.cond_stage_model.named_parameters()]
        assert "clip_g.transformer.text_model.encoder.layers.1.self_attn.q_proj.weight" in names
