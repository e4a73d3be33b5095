"""What only reForge and Forge Classic do: patchers with backups, a text encoder of another file, models in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_optim.hosts import detect
from lib_optim.hosts.probe import probe_of
from lib_optim.plan.errors import HostError
from tests.hosts.webui_rig import LORA, PARTS, STAMP, Rig, image_job
from tests.webui.fixtures import running_host


@pytest.fixture(params=["reforge", "classic"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with running_host(request.param, tmp_path) as webui:
        yield Rig(webui)


@pytest.fixture
def reforge(tmp_path: Path) -> Iterator[Rig]:
    with running_host("reforge", tmp_path) as webui:
        yield Rig(webui)


def backups(rig: Rig) -> int:
    """How many weights some patcher would put back."""
    management = rig.webui.module("ldm_patched.modules.model_management")
    return sum(len(loaded.model.backup) for loaded in management.current_loaded_models)


def test_a_baked_lora_is_taken_out_before_a_write_and_put_in_again(pair: Rig) -> None:
    pair.webui.pixels()
    before = pair.webui.parameters()
    with_lora = pair.webui.pixels(LORA)
    assert backups(pair)
    session = pair.open()
    assert not backups(pair)
    now = pair.webui.parameters()
    assert all(torch.equal(now[name], value) for name, value in before.items())
    merged, merged_lora = pair.trial(session, 0.5), pair.trial(session, 0.5, LORA)
    assert len({merged, merged_lora, with_lora}) == 3
    assert pair.trial(session, 0.5) == merged  # the LoRA's backup was not put back over the merge
    assert pair.webui.pixels(LORA) == with_lora


def test_a_written_weight_survives_the_backup_of_a_lora(pair: Rig) -> None:
    """Within one trial: a payload with a LoRA, then one without, then with it again."""
    session = pair.open()
    with pair.host.exclusive(), session.live_weights() as live, pair.host.job("trial"):
        pair.write(live, 0.5)
        plain, lora = pair.pixels(), pair.pixels(LORA)
        digests = live.digests()
        assert (pair.pixels(), pair.pixels(LORA)) == (plain, lora)
        assert live.digests() == digests  # read with the LoRA taken out
    assert plain != lora


def test_the_text_encoder_of_another_file_is_not_merged_into(reforge: Rig) -> None:
    reforge.webui.module("modules.sd_models").text_encoder_from["a.safetensors"] = str(
        reforge.webui.checkpoints / "b.safetensors"
    )
    reforge.webui.reload_from_disk()
    before = reforge.webui.pixels()
    with reforge.host.exclusive():
        reforge.host.load(reforge.a)
        with pytest.raises(HostError, match="not the checkpoint's own"):
            reforge.host.open_session(reforge.a, PARTS)
    session = reforge.open(frozenset({"unet"}))
    assert reforge.trial(session, 0.5) != before
    assert reforge.webui.pixels() == before


def test_a_model_in_pieces_is_none(reforge: Rig) -> None:
    """reForge takes the loaded model apart before it reads the next one, which may then not load."""
    base = reforge.webui.pixels()
    state = reforge.host.state()
    sd_models = reforge.webui.module("modules.sd_models")
    sd_models.fail_loading.append("b.safetensors")
    with reforge.host.exclusive():
        with pytest.raises(HostError, match="could not load"):
            reforge.host.load(reforge.b)
        assert sd_models.model_data.sd_model is not None  # what is left of it
        with pytest.raises(HostError, match="no model loaded"):
            reforge.host.open_session(reforge.a, PARTS)
        reforge.host.restore(state)
    assert reforge.webui.pixels() == base


def test_a_forced_reload_reads_the_file_on_both(pair: Rig) -> None:
    base = pair.webui.pixels()
    probe = probe_of(pair.host)
    model: Any = probe.model()
    with torch.inference_mode():
        next(model.forge_objects_original.unet.model.parameters()).mul_(2)
    assert pair.webui.pixels() != base
    with pair.host.exclusive():
        probe.new_model()
    assert probe.model() is not model
    assert pair.webui.pixels() == base


def test_a_schedule_is_refused_where_there_is_none(tmp_path: Path) -> None:
    with running_host("classic", tmp_path) as webui:
        rig = Rig(webui)
        with rig.host.exclusive(), rig.host.job("x"), pytest.raises(HostError, match="no scheduler"):
            rig.host.generate(image_job(scheduler="Karras"), STAMP)


def test_a_stranger_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "_has", {"modules", "modules.call_queue", "modules_forge"}.__contains__)
    with pytest.raises(HostError, match="does not know"):
        detect.host_name()
