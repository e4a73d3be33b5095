"""Start and stop a test host, and do to it what its users and other clients do.

pytest_plugins = ["tests.webui.fixtures"]        # or: from tests.webui.fixtures import a1111, forge, webui
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.webui.layout import Shape, make_checkpoint, make_lora, make_vae, sd1_layout, sdxl_layout

__all__ = ["FLAVOURS", "TestHost", "a1111", "forge", "running_host", "webui", "webui_xl"]

_PACKAGES = ("modules", "modules_forge", "backend", "ldm_patched", "networks", "launch")
FLAVOURS = ("a1111", "forge", "reforge", "classic")
_FOLDERS = {"classic": "reforge"}  # the two are one program but for what the loader and images can be told


class TestHost:
    """A running test host. `module(name)` is any of its modules; the rest acts as other people."""

    __test__ = False

    def __init__(self, flavour: str, folder: Path) -> None:
        self.flavour, self.folder = flavour, folder
        self.loads_as_a1111 = flavour != "forge"  # by options alone, VAE overrides included
        self.checkpoints = folder / "models" / "Stable-diffusion"

    def module(self, name: str) -> ModuleType:
        """Import a module of the host."""
        return importlib.import_module(name)

    @property
    def opts(self) -> Any:
        return self.module("modules.shared").opts

    @property
    def state(self) -> Any:
        return self.module("modules.shared").state

    @property
    def model(self) -> Any:
        """The loaded model object; loads nothing."""
        return self.module("modules.sd_models").model_data.sd_model

    @property
    def queue_lock(self) -> Any:
        return self.module("modules.call_queue").queue_lock

    @property
    def step_hooks(self) -> list[Callable[[int], None]]:
        """Called with each sampling step's number, from the thread that samples."""
        return self.module("modules.sd_samplers").step_hooks

    def txt2img(self, prompt: str = "a cat", seed: int = 1, **fields: Any) -> Any:
        """Do what the API does for another client: wait for the lock, generate, give back the image."""
        processing, state = self.module("modules.processing"), self.state
        defaults = {"steps": 3, "width": 16, "height": 16, "sampler_name": "Euler", "scheduler": "Automatic"}
        if self.flavour == "classic":
            fields.pop("scheduler", None)
            defaults.pop("scheduler")
        with self.queue_lock:
            p = processing.StableDiffusionProcessingTxt2Img(prompt=prompt, seed=seed, **{**defaults, **fields})
            with closing(p):
                if self.flavour == "reforge":
                    p.scripts = self.module("modules.scripts").ScriptRunner()
                state.begin(job="scripts_txt2img")
                try:
                    return processing.process_images(p).images[0]
                finally:
                    state.end()

    def pixels(self, prompt: str = "a cat", seed: int = 1, **fields: Any) -> bytes:
        """`txt2img`, as bytes to compare."""
        return self.txt2img(prompt, seed, **fields).tobytes()

    def post_options(self, **options: Any) -> None:
        """Do what ``POST /sdapi/v1/options`` does (A1111: waits for the lock where a reload follows)."""
        if self.flavour == "forge":
            self.module("modules.sysinfo").set_config(options)
            return
        shared = self.module("modules.shared")
        for key, value in options.items():
            shared.opts.set(key, value, is_api=True)
        shared.opts.save(shared.config_filename)

    def in_background(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Background:
        """Run `call` on a thread of its own, as a server does."""
        return Background(call, arguments, named)

    def parameters(self) -> dict[str, torch.Tensor]:
        """Return a copy of every parameter of the loaded model, by the host's own (plain) names."""
        found: dict[str, torch.Tensor] = {}
        if self.flavour == "a1111":
            modules = {"": self.model}
        else:
            objects = self.model.forge_objects_original
            modules = {
                "unet.": objects.unet.model.diffusion_model,
                "clip.": objects.clip.cond_stage_model,
                "vae.": objects.vae.first_stage_model,
            }
        for prefix, module in modules.items():
            for name, value in module.named_parameters(remove_duplicate=False):
                found[prefix + name] = value.detach().clone()
        return found

    def refresh_checkpoints(self) -> None:
        """Press the refresh button beside the checkpoint list."""
        self.module("modules.sd_models").list_models()

    def reload_from_disk(self) -> None:
        """Have the host read the loaded checkpoint again, as a change of settings does."""
        sd_models = self.module("modules.sd_models")
        if self.flavour == "forge":
            sd_models.model_data.forge_hash = ""
            sd_models.forge_model_reload()
            return
        info = self.model.sd_checkpoint_info
        if self.flavour == "classic":
            sd_models.model_data.sd_model = None
        sd_models.reload_model_weights(None, info, forced_reload=True)


class Background:
    """A call on its own thread; `result()` waits for it and lets its error through."""

    def __init__(self, call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._value: Any = None
        self._error: BaseException | None = None

        def work() -> None:
            try:
                self._value = call(*arguments, **named)
            except BaseException as error:  # noqa: BLE001 - for whoever asks
                self._error = error

        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def done(self) -> bool:
        return not self.thread.is_alive()

    def result(self, timeout: float = 30) -> Any:
        self.thread.join(timeout)
        assert self.done(), "the call in the background did not end"
        if self._error is not None:
            raise self._error
        return self._value


@contextmanager
def running_host(flavour: str, folder: Path, layout: dict[str, Shape] | None = None) -> Iterator[TestHost]:
    """Install the fake packages, with checkpoints a and b, a LoRA and a VAE, and start the host.

    Args:
        flavour: One of `FLAVOURS`.
        folder: Empty folder that becomes the host's.
        layout: Keys of the checkpoints; SD1's by default.
    """
    assert not any(name in sys.modules for name in _PACKAGES), "another test host is still installed"
    layout = layout or sd1_layout()
    models = folder / "models"
    for seed, name in enumerate("ab", start=1):
        make_checkpoint(models / "Stable-diffusion" / f"{name}.safetensors", layout, seed)
    make_lora(models / "Lora" / "lora.safetensors", layout, seed=9)
    make_vae(models / "VAE" / "other.safetensors", seed=10)
    path = str(Path(__file__).parent / _FOLDERS.get(flavour, flavour))
    os.environ["OPTIM_TEST_HOST"], os.environ["OPTIM_TEST_FLAVOUR"] = str(folder), flavour
    sys.path.insert(0, path)
    host = TestHost(flavour, folder)
    try:
        _start(host)
        yield host
    finally:
        if flavour != "a1111" and "modules_forge.main_thread" in sys.modules:
            main_thread = host.module("modules_forge.main_thread")
            main_thread.stopping.set()
            main_thread.thread.join(5)
        for name in [n for n in sys.modules if n.partition(".")[0] in _PACKAGES]:
            del sys.modules[name]
        sys.path.remove(path)
        del os.environ["OPTIM_TEST_HOST"], os.environ["OPTIM_TEST_FLAVOUR"]
        sys.path_importer_cache.pop(path, None)


def _start(host: TestHost) -> None:
    sd_models = host.module("modules.sd_models")
    sd_models.list_models()
    host.opts.data["sd_model_checkpoint"] = "a.safetensors"
    if host.flavour != "a1111":
        main_thread = host.module("modules_forge.main_thread")
        main_thread.thread = threading.Thread(target=main_thread.loop, name="host main thread", daemon=True)
        main_thread.thread.start()
    if host.flavour == "forge":
        entry = host.module("modules_forge.main_entry")
        entry.refresh_models()
        host.opts.data.setdefault("forge_additional_modules", [])
        entry.refresh_model_loading_parameters()
        return
    from modules.call_queue import queue_lock

    sd_vae = host.module("modules.sd_vae")
    sd_vae.refresh_vae_list()

    def queued(call: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            with queue_lock:
                if host.flavour == "a1111":
                    call()
                else:
                    host.module("modules_forge.main_thread").run_and_wait_result(call)

        return run

    host.opts.onchange("sd_model_checkpoint", queued(sd_models.reload_model_weights))
    host.opts.onchange("sd_vae", queued(sd_vae.reload_vae_weights))
    host.opts.onchange("fp8_storage", queued(sd_models.reload_model_weights))
    assert host.module("modules.shared").sd_model is not None  # all but Forge load at start


@pytest.fixture
def a1111(tmp_path: Path) -> Iterator[TestHost]:
    """A running A1111 flavour with SD1 checkpoints."""
    with running_host("a1111", tmp_path) as host:
        yield host


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[TestHost]:
    """A running Forge flavour with SD1 checkpoints, nothing loaded yet."""
    with running_host("forge", tmp_path) as host:
        yield host


@pytest.fixture(params=FLAVOURS)
def webui(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestHost]:
    """All flavours in turn, with SD1 checkpoints."""
    with running_host(request.param, tmp_path) as host:
        yield host


@pytest.fixture(params=FLAVOURS)
def webui_xl(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestHost]:
    """All flavours in turn, with SDXL checkpoints."""
    with running_host(request.param, tmp_path, sdxl_layout()) as host:
        yield host
