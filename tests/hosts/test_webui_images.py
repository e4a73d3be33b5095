"""Adapters of A1111 and Forge against the test host: writes, images and restores (hosts.md section 13)."""

# ruff: noqa: PT012 - what is tested is what leaves these blocks

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from lib_optim.plan.errors import HostError, MergeError, RunError
from lib_optim.plan.payload import ImageJob
from tests.hosts.webui_rig import LORA, PARTS, STAMP, Rig, image_job, payload, same
from tests.webui.fixtures import TestHost


def test_01_opening_and_closing_changes_nothing(rig: Rig) -> None:
    base, before = rig.webui.pixels(), rig.bits()
    session = rig.open()
    with rig.host.exclusive(), session.live_weights():
        pass
    assert same(rig.webui.parameters(), before)
    assert rig.webui.pixels() == base


def test_02_and_09_text_encoder_and_unet_writes_show_at_once_and_go_again(rig: Rig) -> None:
    base, before = rig.webui.pixels(), rig.bits()
    session = rig.open()
    assert rig.trial(session, 0.0) == base
    half = rig.trial(session, 0.5)
    assert half != base
    assert rig.webui.pixels() == base
    text = rig.trial(session, 0.5, part="cond_stage_model.")
    unet = rig.trial(session, 0.5, part="model.")
    assert len({base, half, text, unet}) == 4
    assert rig.trial(session, 0.0) == base
    assert same(rig.bits(), before)


def test_03_alpha_one_is_checkpoint_b(rig: Rig) -> None:
    disk = rig.from_disk("b")
    session = rig.open()
    assert rig.trial(session, 1.0) == disk  # both have one VAE


@pytest.mark.parametrize("prompt", ["a cat", LORA])
def test_04_a_merge_is_the_saved_merge(rig: Rig, prompt: str) -> None:
    # In fp16, as files usually are: the hosts keep parts in fp16 and parts in fp32, and round at load.
    merged = {k: rig.tensor(k, 0.5).half() for k in rig.files["a"] if k.split(".")[0] in ("model", "cond_stage_model")
              and rig.files["a"][k].is_floating_point()}  # fmt: skip
    save_file({**rig.files["a"], **merged}, rig.webui.checkpoints / "merged.safetensors")
    rig.webui.refresh_checkpoints()
    disk = rig.from_disk("merged", prompt)
    session = rig.open()
    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        for key in tuple(live.keys()):
            live.write(key, merged[key])
        assert rig.pixels(prompt) == disk


def test_05_every_key_maps(rig: Rig) -> None:
    session = rig.open(frozenset({"unet", "text_encoder", "vae"}))
    floating = {k for k, v in rig.files["a"].items() if v.is_floating_point() and "." in k}
    assert set(session.keys()) == floating
    assert session.unmapped() == ("cond_stage_model.transformer.text_model.embeddings.position_ids",)


def test_05_sdxl_keys_map_and_read_back(webui_xl: TestHost) -> None:
    rig = Rig(webui_xl)
    session = rig.open()
    wanted = {k for k in rig.files["a"] if k.startswith(("model.", "conditioner.")) and "position_ids" not in k}
    missing = wanted - set(session.keys())
    assert missing <= {"conditioner.embedders.1.model.logit_scale"}
    with rig.host.exclusive(), session.live_weights() as live:
        for key in tuple(live.keys()):
            value = rig.tensor(key, 0.25).to(live.dtype_of(key))
            live.write(key, value)
            assert torch.equal(live.read(key).cpu(), value.cpu()), key
    base = webui_xl.pixels()
    disk = rig.from_disk("b")
    assert rig.trial(session, 1.0) == disk
    assert webui_xl.pixels() == base


def test_06_bad_writes_write_nothing(rig: Rig) -> None:
    before = rig.bits()
    session = rig.open()
    key = "model.diffusion_model.middle_block.0.in_layers.2.weight"
    with rig.host.exclusive(), session.live_weights() as live:
        shape = live.shape_of(key)
        for name, bad in (
            ("model.nothing", torch.zeros(1)),
            (key, torch.zeros(3)),
            (key, torch.full(shape, float("nan"))),
        ):
            with pytest.raises(MergeError):
                live.write(name, bad)
        assert same(rig.webui.parameters(), before)


@pytest.mark.parametrize("where", ["write", "generation", "scoring"])
def test_07_an_error_leaves_the_originals(rig: Rig, where: str) -> None:
    base, before = rig.webui.pixels(LORA), rig.bits()
    session = rig.open()

    def fail(step: int = 0) -> None:
        raise ZeroDivisionError("on purpose")

    if where == "generation":
        rig.webui.step_hooks.append(fail)
    with pytest.raises((ZeroDivisionError, HostError), match="on purpose"):  # noqa: SIM117
        with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
            for i, key in enumerate(live.keys()):
                live.write(key, rig.tensor(key, 0.5))
                if where == "write" and i == 40:
                    fail()
            rig.pixels(LORA)
            fail()
    rig.webui.step_hooks.clear()
    assert not rig.webui.queue_lock._lock.locked()
    assert rig.webui.pixels(LORA) == base
    assert same(rig.bits(), before)


def test_10_a_lora_in_the_payload_changes_nothing_afterwards(rig: Rig) -> None:
    plain, with_lora, before = rig.webui.pixels(), rig.webui.pixels(LORA), rig.bits()
    session = rig.open()
    merged = rig.trial(session, 0.5, LORA)
    assert rig.webui.pixels(LORA) == with_lora
    assert rig.trial(session, 0.5, LORA) == merged
    assert rig.webui.pixels() == plain
    assert same(rig.bits(), before)


@pytest.mark.parametrize("part", ["", "model.", "cond_stage_model."])
def test_11_merges_do_not_depend_on_loras_before(rig: Rig, part: str) -> None:
    session = rig.open()
    fresh, fresh_lora = rig.trial(session, 0.5, part=part), rig.trial(session, 0.5, LORA, part=part)
    base = rig.webui.pixels()
    rig.webui.pixels(LORA)  # baked in now
    assert rig.trial(session, 0.5, part=part) == fresh
    rig.webui.pixels(LORA)
    rig.webui.pixels()  # used and off again: the layers keep backups
    assert rig.trial(session, 0.5, part=part) == fresh
    assert rig.trial(session, 0.5, LORA, part=part) == fresh_lora
    rig.webui.pixels(LORA)
    assert rig.webui.pixels() == base


def test_12_and_15_trials_do_not_depend_on_each_other(rig: Rig) -> None:
    session = rig.open()
    plan = [(0.2, "a cat"), (0.8, LORA), (0.5, "a dog"), (0.8, "a cat")]
    forward = {step: rig.trial(session, *step) for step in plan}
    backward = {step: rig.trial(session, *step) for step in reversed(plan)}
    assert forward == backward
    assert len(set(forward.values())) == len(plan)


def test_12_a_lora_on_and_off_within_one_trial(rig: Rig) -> None:
    session = rig.open()
    alone, alone_lora = rig.trial(session, 0.5), rig.trial(session, 0.5, LORA)
    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        rig.write(live, 0.5)
        written = live.digests()
        images = [rig.pixels(p) for p in (LORA, "a cat", LORA, "a cat")]
        rig.pixels(LORA)
        assert live.digests() == written  # with the LoRA of the last image taken out
        rig.write(live, 0.5)
        images += [rig.pixels(), rig.pixels(LORA)]
    assert images == [alone_lora, alone, alone_lora, alone, alone, alone_lora]


def test_12_partial_writes_with_a_lora_baked_in(rig: Rig) -> None:
    """Only part of what the LoRA touches is written, between two images of one trial."""
    session = rig.open()
    key = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight"
    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        live.write(key, rig.tensor(key, 0.5))
        alone = rig.pixels()
    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        rig.pixels(LORA)
        live.write(key, rig.tensor(key, 0.5))
        assert rig.pixels() == alone


def test_hires_images_see_text_encoder_writes(rig: Rig) -> None:
    hires = {"enable_hr": True}
    disk = rig.from_disk("b", **hires)
    session = rig.open()
    base = rig.trial(session, 0.0, **hires)
    assert rig.trial(session, 1.0, **hires) == disk
    assert rig.trial(session, 0.0, **hires) == base
    assert len(base) == 4 * len(rig.trial(session, 0.0))


def test_prompts_of_unequal_length_see_text_encoder_writes_on_a1111(rig_a: Rig) -> None:
    """The conditioning of the empty prompt pads others, and is computed when the model is loaded."""
    disk = rig_a.from_disk("b")
    session = rig_a.open()
    before = rig_a.webui.model.cond_stage_model_empty_prompt.clone()
    assert rig_a.trial(session, 1.0) == disk
    assert torch.equal(rig_a.webui.model.cond_stage_model_empty_prompt, before)


def test_the_first_prompt_changes_stored_types_on_forge(rig_f: Rig) -> None:
    """Nothing was generated before the session, so Forge has not yet turned its embeddings into fp32."""
    session = rig_f.open()
    base = rig_f.trial(session, 0.0)
    assert rig_f.trial(session, 0.5) != base
    assert rig_f.webui.pixels() == base


def test_both_registrations_of_the_token_embedding_are_written_on_forge(rig_f: Rig) -> None:
    rig_f.webui.pixels()
    clip = rig_f.webui.model.forge_objects_original.clip.cond_stage_model.clip_l
    embedding = clip.transformer.text_model.embeddings.token_embedding
    with torch.inference_mode():  # as after pinning memory, which makes parameters anew
        embedding._parameters["weight"] = torch.nn.Parameter(embedding.wrapped.weight.clone())
    session = rig_f.open()
    key = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
    with rig_f.host.exclusive(), session.live_weights() as live:
        live.write(key, rig_f.files["b"][key])
        for weight in (embedding.weight, embedding.wrapped.weight):
            assert torch.equal(weight, rig_f.files["b"][key].to(weight.dtype))


def test_13_a_vae_override_survives(rig_a: Rig) -> None:
    rig_a.webui.post_options(sd_vae="other.safetensors")
    base = rig_a.webui.pixels()
    session = rig_a.open()
    half = rig_a.trial(session, 0.5)
    assert half != base
    with rig_a.host.exclusive(), session.live_weights(), rig_a.host.job("trial"):
        assert "VAE: other.safetensors" in rig_a.host.generate(image_job(), STAMP).infotext
    assert rig_a.webui.pixels() == base
    with rig_a.host.exclusive(), pytest.raises(HostError, match="VAE"):
        rig_a.host.open_session(rig_a.a, frozenset({"vae"}))


def test_13_additional_modules_are_left_alone_on_forge(rig_f: Rig) -> None:
    rig_f.webui.post_options(forge_additional_modules=["other.safetensors"])
    base = rig_f.webui.pixels()
    session = rig_f.open()
    rig_f.trial(session, 0.5)
    assert rig_f.webui.pixels() == base
    with rig_f.host.exclusive(), pytest.raises(HostError, match=r"other\.safetensors"):
        rig_f.host.open_session(rig_f.a, frozenset({"vae"}))


def test_the_vae_can_be_merged_when_asked(rig: Rig) -> None:
    base = rig.webui.pixels()
    session = rig.open(frozenset({"vae"}))
    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        for key in tuple(live.keys()):
            live.write(key, rig.files["a"][key].float() * 0.5)
        assert rig.pixels() != base
    assert rig.webui.pixels() == base


def test_27_infotext_tells_the_truth(rig: Rig) -> None:
    session = rig.open()
    with rig.host.exclusive(), session.live_weights() as live, rig.host.job("trial"):
        rig.write(live, 0.5)
        info = rig.host.generate(image_job(), STAMP).infotext
    true_hash = rig.webui.model.sd_checkpoint_info.shorthash
    assert "Optim trial: run 3" in info
    assert "Optim recipe: 1f3a" in info
    assert f"Model hash: {true_hash}" not in info
    assert "Model: a (Optim merge)" in info
    with rig.host.exclusive(), rig.host.job("base"):
        info = rig.host.generate(image_job(), {}).infotext
    assert f"Model hash: {true_hash}" in info
    assert "Model: a," in info
    assert rig.webui.model.sd_model_hash == true_hash


def test_one_image_only_and_nothing_saved(rig: Rig) -> None:
    many = replace(payload(), batch_size=2, n_iter=3)
    with rig.host.exclusive(), rig.host.job("images"):
        rig.host.load(rig.a)
        image = rig.host.generate(ImageJob(4, many, seed=5, subseed=0), STAMP)
    assert image.image.mode == "RGB"
    processing = rig.webui.module("modules.processing")
    p = processing.processed[-1]
    assert (p.batch_size, p.n_iter, p.seed) == (1, 1, 5)
    assert p.do_not_save_samples
    assert p.do_not_save_grid
    assert p in processing.closed
    assert image.image.tobytes() == rig.webui.pixels(seed=5)


def test_the_users_last_prompt_stays_the_users(rig: Rig) -> None:
    rig.webui.pixels("a prompt of the user")
    session = rig.open()
    rig.trial(session, 0.5)
    assert "a prompt of the user" in (rig.webui.folder / "params.txt").read_text()


def test_payload_fields(rig: Rig) -> None:
    with rig.host.exclusive(), rig.host.job("images"):
        base = rig.pixels()
        assert rig.pixels(clip_skip=2) != base
        assert rig.pixels(subseed_strength=0.5) != base
        assert rig.pixels() == base
        for field in ("sd_vae", "sd_model_checkpoint", "forge_additional_modules", "sd_unet"):
            with pytest.raises(HostError, match=field):
                rig.pixels(override_settings={field: "x"})
        with pytest.raises(HostError, match="hypernetwork"):
            rig.pixels("a cat <hypernet:x:1>")
    rig.webui.opts.data["CLIP_stop_at_last_layers"] = 2  # the user's own setting does not leak in
    with rig.host.exclusive(), rig.host.job("images"):
        assert rig.pixels() == base
    assert rig.webui.opts.data["CLIP_stop_at_last_layers"] == 2


def test_errors_of_generation_are_one_sentence(rig: Rig) -> None:
    """23: also from Forge's main thread, where the host itself would give back None."""
    rig.webui.step_hooks.append(lambda step: 1 / 0)
    with rig.host.exclusive(), rig.host.job("images"), pytest.raises(HostError, match="division by zero"):
        rig.pixels()


def test_calls_without_the_lock_are_refused(rig: Rig) -> None:
    """22."""
    session = rig.open()
    calls = (
        lambda: rig.host.load(rig.a),
        lambda: rig.host.restore(rig.host.state()),
        lambda: rig.host.open_session(rig.a, PARTS),
        lambda: session.live_weights().__enter__(),
        session.check,
        lambda: rig.host.generate(image_job(), STAMP),
        lambda: rig.host.job("x"),
    )
    for call in calls:
        with pytest.raises(RunError, match="lock"):
            call()
    with rig.host.exclusive(), pytest.raises(RunError, match="held already"), rig.host.exclusive():
        pass
