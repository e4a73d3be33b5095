"""What both flavours share: lock, state, options, checkpoint list, callbacks. No module here keeps state of its own."""

from __future__ import annotations

import collections
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

__all__ = ["CheckpointInfo", "Checkpoints", "FIFOLock", "OptionInfo", "Options", "State"]


class FIFOLock:
    """First come, first served, not re-entrant, no timeout; a releaser that comes straight back can cut in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inner_lock = threading.Lock()
        self._pending_threads: collections.deque[threading.Event] = collections.deque()

    def acquire(self, blocking: bool = True) -> bool:
        with self._inner_lock:
            if self._lock.acquire(False):
                return True
            if not blocking:
                return False
            turn = threading.Event()
            self._pending_threads.append(turn)
        turn.wait()
        return self._lock.acquire()

    def release(self) -> None:
        with self._inner_lock:
            if self._pending_threads:
                self._pending_threads.popleft().set()
            self._lock.release()

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()


class State:
    """`shared.state`: flags that stay set until `begin`, which clears them."""

    def __init__(self) -> None:
        self.skipped = self.interrupted = self.stopping_generation = False
        self.job, self.job_no, self.job_count = "", 0, 0
        self.processing_has_refined_job_count = False
        self.sampling_step = self.sampling_steps = 0
        self.current_latent = self.current_image = None
        self.current_image_sampling_step = self.id_live_preview = 0
        self.textinfo: str | None = None
        self.time_start: float | None = None
        self.begun = 0  # for tests

    def begin(self, job: str = "(unknown)") -> None:
        self.begun += 1
        self.skipped = self.interrupted = self.stopping_generation = False
        self.job, self.job_no, self.job_count = job, 0, -1
        self.processing_has_refined_job_count = False
        self.sampling_step = 0
        self.current_latent = self.current_image = None
        self.current_image_sampling_step = self.id_live_preview = 0
        self.textinfo = None
        self.time_start = time.time()

    def end(self) -> None:
        self.job, self.job_count = "", 0

    def interrupt(self) -> None:
        self.interrupted = True

    def skip(self) -> None:
        self.skipped = True

    def stop_generating(self) -> None:
        self.stopping_generation = True

    def nextjob(self) -> None:
        self.job_no += 1
        self.sampling_step = self.current_image_sampling_step = 0

    def assign_current_image(self, image: Any) -> None:
        self.current_image = image
        self.id_live_preview += 1


class OptionInfo:
    def __init__(
        self, default: Any = None, label: str = "", component: Any = None, component_args: Any = None,
        onchange: Callable[[], Any] | None = None, section: tuple[Any, Any] | None = None,
    ) -> None:  # fmt: skip
        self.default, self.label, self.component = default, label, component
        self.component_args, self.onchange, self.section = component_args, onchange, section

    def info(self, text: str) -> OptionInfo:
        return self

    def needs_reload_ui(self) -> OptionInfo:
        return self


class Options:
    """`shared.opts`: `data` holds what was saved or set; everything else is a default and absent from `data`."""

    def __init__(self, labels: dict[str, OptionInfo]) -> None:
        super().__setattr__("data_labels", labels)
        super().__setattr__("data", {})

    def __setattr__(self, key: str, value: Any) -> None:
        if key == "data":
            super().__setattr__(key, value)
        else:
            self.data[key] = value

    def __getattr__(self, key: str) -> Any:
        if key in self.data:
            return self.data[key]
        if key in self.data_labels:
            return self.data_labels[key].default
        raise AttributeError(key)

    def set(self, key: str, value: Any, is_api: bool = False, run_callbacks: bool = True) -> bool:
        if self.data.get(key) == value:
            return False
        self.data[key] = value
        onchange = self.data_labels[key].onchange
        if run_callbacks and onchange is not None:
            onchange()
        return True

    def get_default(self, key: str) -> Any:
        info = self.data_labels.get(key)
        return info.default if info else None

    def add_option(self, key: str, info: OptionInfo) -> None:
        self.data_labels[key] = info
        self.data.setdefault(key, info.default)

    def onchange(self, key: str, call: Callable[[], Any]) -> None:
        self.data_labels[key].onchange = call

    def save(self, filename: str) -> None:
        Path(filename).write_text(json.dumps(self.data, indent=4), encoding="utf-8")

    def load(self, filename: str) -> None:
        path = Path(filename)
        self.data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


class CheckpointInfo:
    """An entry of the checkpoint list; its title gains the hash once that is known."""

    known_hashes: dict[str, str]

    def __init__(self, filename: str, known_hashes: dict[str, str]) -> None:
        path = Path(filename)
        self.filename, self.name, self.known_hashes = filename, path.name, known_hashes
        self.name_for_extra = self.model_name = path.stem
        self.is_safetensors, self.metadata = True, {}
        self.sha256 = known_hashes.get(filename)
        self._titles()

    def __repr__(self) -> str:  # Forge compares selections by this text
        return str({"filename": self.filename, "hash": self.name})

    def _titles(self) -> None:
        self.shorthash = self.hash = self.sha256[:10] if self.sha256 else None
        self.title = f"{self.name} [{self.shorthash}]" if self.shorthash else self.name
        self.ids = [self.name, self.name_for_extra, self.title]
        if self.sha256:
            self.ids += [self.sha256, self.sha256[:10]]


class Checkpoints:
    """`checkpoints_list` and `checkpoint_aliases`, rebuilt with new objects by `list_models`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known_hashes: dict[str, str] = {}
        self.by_title: dict[str, CheckpointInfo] = {}
        self.aliases: dict[str, CheckpointInfo] = {}

    def list_models(self) -> None:
        self.by_title.clear()
        self.aliases.clear()
        for path in sorted(self.folder.rglob("*.safetensors")):
            self._register(CheckpointInfo(str(path), self.known_hashes))

    def _register(self, info: CheckpointInfo) -> None:
        self.by_title[info.title] = info
        for name in info.ids:
            self.aliases[name] = info

    def hash(self, info: CheckpointInfo) -> str:
        """Compute the hash of `info`'s file, which changes its title in the list; return the short one."""
        if not info.sha256:
            info.sha256 = hashlib.sha256(Path(info.filename).read_bytes()).hexdigest()
            self.known_hashes[info.filename] = info.sha256
            old = info.title
            info._titles()
            if self.by_title.pop(old, None) is not None:
                self._register(info)
        assert info.shorthash is not None
        return info.shorthash

    def match(self, text: str | None) -> CheckpointInfo | None:
        if not text:
            return None
        if text in self.aliases:
            return self.aliases[text]
        plain = re.sub(r"\s*\[[^]]+]\s*$", "", text)
        found = sorted((i for i in self.by_title.values() if plain in i.title), key=lambda i: len(i.title))
        return found[0] if found else None


def lora_tags(prompt: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """Take ``<kind:name:…>`` out of a prompt; return the rest and the tags."""
    tags = [(kind, rest.split(":")) for kind, rest in re.findall(r"<(\w+):([^>]+)>", prompt)]
    return re.sub(r"<\w+:[^>]+>", "", prompt), tags


def default_options(extra: Iterable[tuple[str, Any]]) -> dict[str, OptionInfo]:
    """Options that the test host knows, with the hosts' defaults."""
    values: dict[str, Any] = {
        "sd_model_checkpoint": None, "sd_checkpoint_hash": "", "sd_vae": "Automatic", "CLIP_stop_at_last_layers": 1,
        "sd_checkpoints_limit": 1, "persistent_cond_cache": True, "interrupt_after_current": True,
        "live_previews_enable": True, "show_progress_every_n_steps": 1, "fp8_storage": "Disable",
        "sd_hypernetwork": "None", "sd_unet": "Automatic", "lora_functional": False, "sd_lora": "None",
        "add_model_hash_to_info": True, "add_model_name_to_info": True, "samples_save": True, "tiling": False,
        "face_restoration": False, "eta_noise_seed_delta": 0, "outdir_txt2img_samples": "", "s_churn": 0.0,
        **dict(extra),
    }  # fmt: skip
    return {key: OptionInfo(value, key) for key, value in values.items()}
