"""What others do to A1111 and Forge, for the conformance suite: the parts that are the same in both."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from lib_optim.hosts.base import GeneratedImage
from lib_optim.hosts.probe import HostProbe, Unavailable
from lib_optim.hosts.webui.options import ABSENT, put
from lib_optim.hosts.webui.payload import processing_fields
from lib_optim.plan.payload import ImageJob

__all__ = ["WebuiProbe", "setting"]


class WebuiProbe(HostProbe):
    """See ``hosts.probe.HostProbe``."""

    def request(self, job: ImageJob) -> GeneratedImage:
        """Do what the API's txt2img route does."""
        from modules import call_queue, processing, shared

        fields = {**processing_fields(job), "override_settings_restore_afterwards": True}
        with call_queue.queue_lock, closing(processing.StableDiffusionProcessingTxt2Img(**fields)) as p:
            p.scripts = self.host.no_scripts()
            shared.state.begin(job="scripts_txt2img")
            try:
                processed = processing.process_images(p)
            finally:
                shared.state.end()
            if not processed.images:
                raise RuntimeError("the WebUI made no image for another client")
            first = processed.index_of_first_image
            return GeneratedImage(processed.images[first].convert("RGB"), processed.infotexts[first])

    def chosen(self) -> str:
        """Return the file name of the chosen checkpoint: titles change when the hash becomes known."""
        from modules import sd_models

        return Path(sd_models.select_checkpoint().filename).name

    def settings(self) -> Mapping[str, str]:
        """Return ``opts.data`` and the digest of config.json."""
        from modules import shared

        found = {name: repr(value) for name, value in shared.opts.data.items()}
        file = Path(shared.config_filename)
        text = file.read_bytes() if file.is_file() else b"absent"
        return {**found, "config.json": hashlib.sha256(text).hexdigest()[:12]}

    @contextlib.contextmanager
    def keeping_settings(self) -> Iterator[None]:
        """Put ``opts.data`` back; config.json is never written by a probe."""
        from modules import shared

        before = dict(shared.opts.data)
        try:
            yield
        finally:
            for key in {*before, *shared.opts.data}:
                put(key, before.get(key, ABSENT))

    def embeddings_folder(self) -> Path:
        """Return ``--embeddings-dir``."""
        from modules import shared

        folder = getattr(shared.cmd_opts, "embeddings_dir", None)
        if folder is None or not Path(folder).is_dir():
            raise Unavailable("this WebUI has no folder of textual inversions")
        return Path(folder)

    def failing_generation(self, sentence: str) -> AbstractContextManager[None]:
        """Replace ``processing.process_images``. Under `exclusive`, so that it hits nobody else."""
        from modules import processing

        return _replaced(processing, "process_images", sentence)

    def flags(self) -> tuple[str, ...]:
        """Return which of ``shared.state``'s flags are set."""
        from modules import shared

        names = ("interrupted", "skipped", "stopping_generation")
        return tuple(name for name in names if getattr(shared.state, name, False))

    def press_interrupt(self) -> None:
        """Do what the button does."""
        from modules import shared

        state = shared.state
        later = getattr(shared.opts, "interrupt_after_current", False)
        if later and state.job_count > 1 and not state.stopping_generation:
            state.stop_generating()
        else:
            state.interrupt()

    def press_skip(self) -> None:
        """Do what the button does."""
        from modules import shared

        shared.state.skip()


@contextlib.contextmanager
def _replaced(owner: Any, name: str, sentence: str) -> Iterator[None]:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(sentence)

    before = getattr(owner, name)
    setattr(owner, name, fail)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def setting(key: str, value: Any) -> Iterator[None]:
    """Hold a setting at `value` without its callback."""
    from modules import shared

    before = shared.opts.data.get(key, ABSENT)
    put(key, value)
    try:
        yield
    finally:
        put(key, before)
