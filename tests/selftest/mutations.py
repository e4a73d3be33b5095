"""Rules of the adapters, of the shared session and of the run, each broken on purpose: one row, one broken rule.

`number` and `part` name the row that must go red. A mutation may redden others too.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

__all__ = ["MUTATIONS", "Mutation"]

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutation:
    """`break_it` gets pytest's monkeypatch when the host is running."""

    name: str
    host: str
    number: int
    part: str
    break_it: Callable[[Patch], None]


MUTATIONS: list[Mutation] = []


def breaks(number: int, part: str = "", hosts: tuple[str, ...] = ("a1111",)) -> Callable[..., Any]:
    """Register a function that breaks a rule, for the row that must notice it."""

    def register(function: Callable[[Patch], None]) -> Callable[[Patch], None]:
        for host in hosts:
            MUTATIONS.append(Mutation(function.__name__, host, number, part, function))
        return function

    return register


# --- weights ------------------------------------------------------------------------------------------------


@breaks(1, hosts=("a1111", "forge"))
def opening_touches_a_weight(patch: Patch) -> None:
    from lib_optim.hosts.live import TableSession

    original = TableSession.live_weights

    @contextlib.contextmanager
    def dirty(self: Any) -> Any:
        with original(self) as live:
            key = next(iter(live.keys()))
            tensor = self._model.tensor(self._table.sources[key].targets[0].name)
            tensor.data.view(-1)[0] += 0.01
            yield live

    patch.setattr(TableSession, "live_weights", dirty)


def _restore_skipped(patch: Patch) -> None:
    from lib_optim.hosts.live import TableSession

    patch.setattr(TableSession, "_put_back", lambda self, weights: None)


@breaks(2, hosts=("standalone", "forge"))
def restore_skipped(patch: Patch) -> None:
    _restore_skipped(patch)


@breaks(7, "mid-write", hosts=("forge",))
@breaks(7, "mid-generation", hosts=("standalone", "a1111"))
def restore_skipped_after_an_exception(patch: Patch) -> None:
    from lib_optim.hosts.live import TableSession

    @contextlib.contextmanager
    def careless(self: Any) -> Any:
        self._model.prepare()
        from lib_optim.hosts.live import TableWeights

        weights = TableWeights(self._table, self._model, self._component_of, self._originals.capture)
        yield weights
        self._put_back(weights)  # not in a finally

    patch.setattr(TableSession, "live_weights", careless)


@breaks(7, "mid-scoring")
def failed_scores_are_ignored(patch: Patch) -> None:
    from lib_optim.scoring.worker import ScoringWorker

    original = ScoringWorker.__init__

    def init(self: Any, specs: Any, models_dir: Any, on_score: Any, on_error: Any, *more: Any, **named: Any) -> None:
        del on_error
        zero = lambda trial, error: on_score(trial, 0, "technical", 0.0)  # noqa: E731
        original(self, specs, models_dir, on_score, zero, *more, **named)

    patch.setattr(ScoringWorker, "__init__", init)


@breaks(3, hosts=("standalone", "a1111"))
@breaks(4, "without a LoRA", hosts=("forge",))
def some_keys_are_not_written(patch: Patch) -> None:
    from lib_optim.hosts.live import TableWeights

    original = TableWeights.put

    def put(self: Any, key: str, tensor: Any) -> None:
        if "middle_block.1" not in key:
            original(self, key, tensor)

    patch.setattr(TableWeights, "put", put)


@breaks(3, hosts=("forge",))
def written_under_no_grad(patch: Patch) -> None:
    import torch

    from lib_optim.hosts.live import TableWeights

    def put(self: Any, key: str, tensor: Any) -> None:
        source = self._source(key)
        self._written[key] = None
        self._model.wrote(self._component_of(key) or "")
        with torch.no_grad():
            for target in source.targets:
                self._live(target).copy_(target.transform.apply(tensor))

    patch.setattr(TableWeights, "put", put)


@breaks(4, "with a LoRA", hosts=("forge",))
@breaks(10, hosts=("forge",))
def unbaked_without_unload(patch: Patch) -> None:
    from backend import memory_management

    patch.setattr(memory_management, "unload_model_clones", lambda patcher: None)


@breaks(5, hosts=("forge",))
def unmapped_keys_are_ignored(patch: Patch) -> None:
    _without_keys(patch, lambda key: ".attn1.to_q." in key)


@breaks(5, hosts=("a1111",))
def two_keys_share_a_tensor(patch: Patch) -> None:
    from lib_optim.hosts.live import TableSession

    original = TableSession.__init__

    def init(self: Any, model: Any, table: Any, *more: Any) -> None:
        left, right = (
            [key for key in table.sources if key.endswith("middle_block.0.in_layers.0.weight")],
            [key for key in table.sources if key.endswith("middle_block.2.in_layers.0.weight")],
        )
        table.sources[left[0]] = table.sources[right[0]]
        original(self, model, table, *more)

    patch.setattr(TableSession, "__init__", init)


def _without_keys(patch: Patch, gone: Callable[[str], bool]) -> None:
    from lib_optim.hosts.live import TableSession

    original = TableSession.__init__

    def init(self: Any, model: Any, table: Any, *more: Any) -> None:
        for key in [key for key in table.sources if gone(key)]:
            del table.sources[key]
        original(self, model, table, *more)

    patch.setattr(TableSession, "__init__", init)


@breaks(6, hosts=("forge",))
def non_finite_values_are_accepted(patch: Patch) -> None:
    from lib_optim.hosts import live

    patch.setattr(live, "_storable", lambda key, tensor, dtype: tensor)


@breaks(6)
def refused_after_the_write(patch: Patch) -> None:
    from lib_optim.hosts import live

    original, check = live.TableWeights.write, live._storable

    def write(self: Any, key: str, tensor: Any) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(live, "_storable", lambda key, tensor, dtype: tensor)
            original(self, key, tensor)
        check(key, tensor, self.dtype_of(key))

    patch.setattr(live.TableWeights, "write", write)


# --- LoRA ---------------------------------------------------------------------------------------------------


def _lora_stays(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import model as a1111
    from lib_optim.hosts.forge import model as forge

    patch.setattr(a1111, "take_out", lambda model: None)
    patch.setattr(forge.ForgeModel, "prepare", lambda self: setattr(self, "_maybe_baked", False))


@breaks(10, hosts=("a1111", "forge"))
@breaks(11, "LoRA before, none during", hosts=("a1111", "forge"))
def lora_not_taken_out(patch: Patch) -> None:
    _lora_stays(patch)


@breaks(11, "LoRA before, none during")
def lora_only_forgotten(patch: Patch) -> None:
    import networks

    patch.setattr(networks, "network_restore_weights_from_backup", lambda module: None)


@breaks(11, "none before, LoRA during", hosts=("a1111", "forge"))
def lora_prompts_lose_their_lora(patch: Patch) -> None:
    from lib_optim.hosts.webui.host import WebuiHost

    original = WebuiHost._process

    def process(self: Any, fields: Any, *more: Any) -> Any:
        prompt = fields["prompt"].partition("<lora:")[0].rstrip() if self._live else fields["prompt"]
        return original(self, {**fields, "prompt": prompt}, *more)

    patch.setattr(WebuiHost, "_process", process)


@breaks(12, hosts=("a1111", "forge"))
def lora_taken_out_once_only(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import model as a1111
    from lib_optim.hosts.forge import model as forge

    for cls in (a1111.A1111Model, forge.ForgeModel):
        original = cls.prepare

        def once(self: Any, original: Any = original) -> None:
            if not hasattr(self, "prepared_once"):
                original(self)
            self.prepared_once, self._maybe_baked = True, False

        patch.setattr(cls, "prepare", once)


# --- caches -------------------------------------------------------------------------------------------------


@breaks(9, hosts=("a1111", "forge"))
def prompt_caches_kept(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import model as a1111
    from lib_optim.hosts.forge import model as forge

    patch.setattr(a1111, "drop_prompt_caches", lambda: None)
    patch.setattr(forge, "drop_prompt_caches", lambda: None)


@breaks(9, hosts=("a1111", "forge"))
def prompt_caches_kept_after_restore(patch: Patch) -> None:
    from lib_optim.hosts.a1111.model import A1111Model
    from lib_optim.hosts.forge.model import ForgeModel

    patch.setattr(A1111Model, "settle", lambda self: setattr(self, "_leaving", False))
    patch.setattr(ForgeModel, "settle", lambda self: None)


@breaks(9, hosts=("standalone",))
def embeddings_kept(patch: Patch) -> None:
    from lib_optim.hosts.standalone.session import _Live

    patch.setattr(_Live, "wrote", lambda self, component: None)


@breaks(3)
def empty_prompt_kept(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import model
    from lib_optim.hosts.webui.caches import drop_prompt_caches

    def freshen(self: Any) -> None:
        if self._stale_text:
            self._stale_text = False
            drop_prompt_caches()

    patch.setattr(model.A1111Model, "freshen", freshen)


@breaks(13)
def vae_override_dropped(patch: Patch) -> None:
    from lib_optim.hosts.a1111.host import A1111Host

    original = A1111Host.open_session

    def open_session(self: Any, base: Any, components: Any) -> Any:
        from modules import sd_vae

        sd_vae.reload_vae_weights(None, None)
        return original(self, base, components)

    patch.setattr(A1111Host, "open_session", open_session)


@breaks(13)
def infotext_forgets_the_vae(patch: Patch) -> None:
    import re

    from lib_optim.hosts.webui.host import WebuiHost

    original = WebuiHost._one_image

    def one_image(self: Any, *arguments: Any) -> Any:
        image, infotext, cut = original(self, *arguments)
        return image, re.sub(r"VAE: [^,]*, ", "", infotext) if self._live else infotext, cut

    patch.setattr(WebuiHost, "_one_image", one_image)


@breaks(13, "merging the VAE under it", hosts=("a1111", "forge"))
def vae_override_not_looked_at(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import host as a1111
    from lib_optim.hosts.forge import host as forge

    for module in (a1111, forge):
        patch.setattr(module, "refusal", lambda model, components: None)


@breaks(15, hosts=("a1111",))
def one_key_stays_merged(patch: Patch) -> None:
    from lib_optim.hosts.live import TableSession
    from lib_optim.hosts.originals import Originals

    original = TableSession._put_back

    def put_back(self: Any, weights: Any) -> None:
        weights._written.pop(next(reversed(weights._written), ""), None)
        original(self, weights)

    patch.setattr(TableSession, "_put_back", put_back)
    patch.setattr(Originals, "check", lambda self, keys: None)
    patch.setattr(Originals, "capture", _capture_unchecked(Originals.capture))


def _capture_unchecked(original: Any) -> Any:
    def capture(self: Any, key: str) -> None:
        digests, self._digests = self._digests, {}
        try:
            original(self, key)
        finally:
            self._digests = digests

    return capture


# --- what others do -----------------------------------------------------------------------------------------


@breaks(16, "one trial", hosts=("a1111", "forge"))
@breaks(16, "a run", hosts=("a1111", "forge"))
def choice_not_looked_at(patch: Patch) -> None:
    from lib_optim.hosts.a1111.model import A1111Model
    from lib_optim.hosts.forge.model import ForgeModel

    from lib_optim.hosts.originals import Originals

    for cls in (A1111Model, ForgeModel):
        patch.setattr(cls, "adopt", lambda self: False)
        patch.setattr(cls, "check_same", lambda self: None)
    patch.setattr(Originals, "check", lambda self, keys: None)
    patch.setattr(Originals, "capture", _capture_unchecked(Originals.capture))


@breaks(16, "one trial", hosts=("a1111", "forge"))
def choice_taken_back(patch: Patch) -> None:
    from lib_optim.hosts.webui.session import WebuiSession

    original = WebuiSession._adopt

    def adopt(self: Any) -> None:
        from modules import sd_models, shared

        for info in sd_models.checkpoints_list.values():
            if info.name == "a.safetensors":
                shared.opts.data["sd_model_checkpoint"] = info.title
                if hasattr(sd_models.model_data, "forge_loading_parameters"):
                    sd_models.model_data.forge_loading_parameters = self.model._pin
        original(self)

    patch.setattr(WebuiSession, "_adopt", adopt)


@breaks(16, "one trial", hosts=("standalone",))
def choice_overwritten(patch: Patch) -> None:
    from lib_optim.hosts.standalone.session import _Live

    patch.setattr(_Live, "check_same", lambda self: setattr(self._host, "_model", self._model))


@breaks(17, hosts=("a1111", "forge"))
def list_entries_compared_by_identity(patch: Patch) -> None:
    from lib_optim.hosts.a1111.model import A1111Model
    from lib_optim.hosts.forge.model import ForgeModel
    from lib_optim.plan.errors import HostChanged

    def check(self: Any) -> None:
        from modules import sd_models

        seen = list(sd_models.checkpoints_list.values())
        if getattr(self, "seen", seen)[0] is not seen[0]:
            raise HostChanged("The list of checkpoints is another one.")
        self.seen = seen

    patch.setattr(A1111Model, "check_same", check)
    patch.setattr(ForgeModel, "check_same", check)


@breaks(18, hosts=("standalone", "forge"))
def stale_model_written(patch: Patch) -> None:
    from lib_optim.hosts.forge.model import ForgeModel
    from lib_optim.hosts.originals import Originals
    from lib_optim.hosts.standalone.session import _Live

    patch.setattr(ForgeModel, "adopt", lambda self: False)
    patch.setattr(ForgeModel, "check_same", lambda self: None)
    patch.setattr(_Live, "check_same", lambda self: None)
    patch.setattr(Originals, "check", lambda self, keys: None)


@breaks(19, "one trial", hosts=("a1111", "forge"))
@breaks(22, "one holder", hosts=("a1111", "forge"))
def lock_not_held(patch: Patch) -> None:
    from lib_optim.hosts.webui.lock import QueueLock

    @contextlib.contextmanager
    def hold(self: Any, give_up: Any = None) -> Any:
        self._holder = threading.get_ident()
        yield
        self._holder = None

    patch.setattr(QueueLock, "hold", hold)


@breaks(19, "a run")
def lock_released_before_restore(patch: Patch) -> None:
    """Every restore is put off to the next opening: somebody else's turn comes while the merge is in place."""
    from lib_optim.hosts.live import TableSession

    original = TableSession._put_back
    late: dict[int, Any] = {}

    def put_back(self: Any, weights: Any) -> None:
        late[id(self)] = weights

    before = TableSession.live_weights

    @contextlib.contextmanager
    def live_weights(self: Any) -> Any:
        if id(self) in late:
            original(self, late.pop(id(self)))
        with before(self) as live:
            yield live

    patch.setattr(TableSession, "_put_back", put_back)
    patch.setattr(TableSession, "live_weights", live_weights)


@breaks(22, "free after every exit", hosts=("a1111", "forge"))
def lock_kept_after_an_exception(patch: Patch) -> None:
    from lib_optim.hosts.webui.lock import QueueLock

    original = QueueLock.hold

    @contextlib.contextmanager
    def hold(self: Any, give_up: Any = None) -> Any:
        manager = original(self, give_up)
        manager.__enter__()
        try:
            yield
        except LookupError:
            self._holder = None
            # Else the self-test itself could not go on.
            timer = threading.Timer(7, manager.__exit__, (None, None, None))
            timer.daemon = True
            timer.start()
            raise
        except BaseException as error:
            manager.__exit__(type(error), error, error.__traceback__)
            raise
        else:
            manager.__exit__(None, None, None)

    patch.setattr(QueueLock, "hold", hold)


@breaks(22, "writes of a run", hosts=("a1111",))
def run_without_the_lock(patch: Patch) -> None:
    from lib_optim.run.hosting import HostHold

    patch.setattr(HostHold, "exclusive", lambda self: contextlib.nullcontext())


@breaks(22, "main thread", hosts=("forge",))
def main_thread_taken_for_the_whole_trial(patch: Patch) -> None:
    from modules_forge import main_thread

    from lib_optim.hosts.forge import host, model

    original = host.ForgeHost.exclusive

    @contextlib.contextmanager
    def exclusive(self: Any, give_up: Any = None) -> Any:
        over = threading.Event()
        with original(self, give_up):
            main_thread.async_run(over.wait)
            try:
                yield
            finally:
                over.set()

    patch.setattr(host.ForgeHost, "exclusive", exclusive)
    for module in (host, model):
        patch.setattr(module, "run_on_main_thread", lambda call: call())


@breaks(23, hosts=("forge",))
def main_thread_hides_errors(patch: Patch) -> None:
    from modules_forge import main_thread

    from lib_optim.hosts.forge import host

    patch.setattr(host, "run_on_main_thread", main_thread.run_and_wait_result)


@breaks(23, hosts=("a1111",))
def failed_image_is_grey(patch: Patch) -> None:
    from PIL import Image

    from lib_optim.hosts.webui.host import WebuiHost
    from lib_optim.plan.errors import HostError

    original = WebuiHost._one_image

    def one_image(self: Any, *arguments: Any) -> Any:
        try:
            return original(self, *arguments)
        except HostError:
            return Image.new("RGB", (64, 64)), "", False

    patch.setattr(WebuiHost, "_one_image", one_image)


@breaks(24, hosts=("a1111", "forge"))
def quantised_models_accepted(patch: Patch) -> None:
    vae_override_not_looked_at(patch)


@breaks(25, hosts=("a1111", "forge"))
def reload_does_nothing(patch: Patch) -> None:
    from lib_optim.hosts.a1111.probe import Probe as A1111
    from lib_optim.hosts.forge.probe import Probe as Forge
    from lib_optim.hosts.standalone.probe import Probe as Standalone

    for cls in (A1111, Forge, Standalone):
        patch.setattr(cls, "new_model", lambda self: None)


@breaks(26, "between trials")
def kept_model_left_merged(patch: Patch) -> None:
    _restore_skipped(patch)


@breaks(26, "a paused run")
def model_not_given_back_for_a_pause(patch: Patch) -> None:
    lock_released_before_restore(patch)


# --- flags --------------------------------------------------------------------------------------------------


@breaks(20, "stop mid-image", hosts=("a1111", "forge"))
@breaks(21, "a run", hosts=("a1111",))
@breaks(21, "the host's Skip", hosts=("a1111", "forge"))
def partial_images_returned(patch: Patch) -> None:
    from lib_optim.hosts.webui.jobs import JobDesk

    patch.setattr(JobDesk, "cut_short", lambda self: False)


@breaks(21, "the host's Interrupt", hosts=("a1111", "forge"))
def interrupt_button_not_looked_at(patch: Patch) -> None:
    from lib_optim.hosts.webui.jobs import JobDesk

    patch.setattr(JobDesk, "cut_short", lambda self: self._cut)


@breaks(20, "stop mid-image", hosts=("standalone",))
@breaks(21, "the host's Interrupt", hosts=("standalone",))
def interrupts_ignored(patch: Patch) -> None:
    from lib_optim.hosts.base import GenerationProgress
    from lib_optim.hosts.standalone.host import StandaloneHost

    def on_step(self: Any, step: int, steps: int) -> None:
        self._progress = GenerationProgress(step, steps)

    patch.setattr(StandaloneHost, "_on_step", on_step)


@breaks(20, "stop mid-image", hosts=("a1111", "forge"))
def sticky_flag_kept(patch: Patch) -> None:
    from lib_optim.hosts.webui.jobs import JobDesk

    original = JobDesk.job

    @contextlib.contextmanager
    def job(self: Any, title: str) -> Any:
        from modules import shared

        flags = False, False
        try:
            with original(self, title):
                try:
                    yield
                finally:
                    flags = shared.state.interrupted, shared.state.skipped
        finally:
            shared.state.interrupted, shared.state.skipped = flags

    patch.setattr(JobDesk, "job", job)


@breaks(20, "stop between two trials", hosts=("a1111",))
def stop_forgotten_by_the_next_trial(patch: Patch) -> None:
    from lib_optim.run.control import Control

    patch.setattr(Control, "stop", lambda self: None)


@breaks(8, "Stop", hosts=("a1111",))
@breaks(8, "skip", hosts=("forge",))
def buttons_do_nothing(patch: Patch) -> None:
    from lib_optim.run.manager import RunManager

    patch.setattr(RunManager, "skip_trial", lambda self: None)
    patch.setattr(RunManager, "stop", lambda self: None)


@breaks(8, "script unload", hosts=("a1111",))
def unload_does_not_wait(patch: Patch) -> None:
    from lib_optim.run.manager import RunManager

    original = RunManager.stop
    patch.setattr(RunManager, "close", lambda self, timeout=60.0: original(self) and None)
    patch.setattr(RunManager, "wait", lambda self, timeout=None: True)


# --- what is told -------------------------------------------------------------------------------------------


@breaks(27, "one trial", hosts=("a1111", "forge"))
def infotext_not_stamped(patch: Patch) -> None:
    from lib_optim.hosts.webui.host import WebuiHost

    patch.setattr(WebuiHost, "_truth", lambda self, stamp: {})


@breaks(27, "one trial", hosts=("a1111", "forge"))
def hash_of_the_merge_stays(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import model as a1111
    from lib_optim.hosts.forge import model as forge

    for cls in (a1111.A1111Model, forge.ForgeModel):

        @contextlib.contextmanager
        def shown(self: Any) -> Any:
            self._anchor.sd_model_hash = "optim merge"
            yield

        patch.setattr(cls, "shown", shown)


@breaks(27, "one trial", hosts=("standalone",))
def infotext_not_stamped_standalone(patch: Patch) -> None:
    from lib_optim.hosts.standalone import host

    original = host.infotext_of
    patch.setattr(host, "infotext_of", lambda *arguments: original(*arguments[:-1], {}))


@breaks(27, "a run", hosts=("a1111",))
def png_without_infotext(patch: Patch) -> None:
    from lib_optim.run import trial

    original = trial.write_image
    patch.setattr(trial, "write_image", lambda folder, file, image, infotext: original(folder, file, image, ""))


@breaks(28, "steps of an image", hosts=("standalone", "a1111", "forge"))
def progress_stands_still(patch: Patch) -> None:
    from lib_optim.hosts.base import GenerationProgress
    from lib_optim.hosts.standalone.host import StandaloneHost
    from lib_optim.hosts.webui.host import WebuiHost

    for cls in (StandaloneHost, WebuiHost):
        patch.setattr(cls, "progress", lambda self: GenerationProgress(1, 20))


@breaks(28, "live preview", hosts=("a1111", "forge"))
def preview_is_no_image(patch: Patch) -> None:
    from lib_optim.hosts.webui.jobs import JobDesk

    patch.setattr(JobDesk, "_encoded", lambda self, image, number: b"no image")


@breaks(28, "a run", hosts=("a1111",))
def page_is_not_told(patch: Patch) -> None:
    from lib_optim.run.view import RunView

    patch.setattr(RunView, "set_current", lambda self, number, image=0: None)


@breaks(28, "memory", hosts=("a1111",))
def every_trial_keeps_a_copy(patch: Patch) -> None:
    import torch

    from lib_optim.hosts.live import TableSession

    kept: list[Any] = []
    original = TableSession._put_back

    def put_back(self: Any, weights: Any) -> None:
        kept.append(torch.zeros(100_000))
        original(self, weights)

    patch.setattr(TableSession, "_put_back", put_back)


@breaks(29, "nothing loaded", hosts=("standalone", "a1111", "forge"))
def nothing_loaded_is_a_surprise(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import host as a1111
    from lib_optim.hosts.forge import host as forge
    from lib_optim.hosts.probe import probe_of
    from lib_optim.hosts.standalone import host as standalone

    for cls in (a1111.A1111Host, forge.ForgeHost, standalone.StandaloneHost):
        original, loads = cls.load, []

        def load(self: Any, checkpoint: Any, original: Any = original, loads: list[int] = loads) -> None:
            loads.append(1)
            if len(loads) > 1 and probe_of(self).model() is None:
                raise AttributeError("'NoneType' object has no attribute 'sd_checkpoint_info'")
            original(self, checkpoint)

        patch.setattr(cls, "load", load)


@breaks(29, "failed load", hosts=("standalone", "a1111", "forge"))
def failed_loads_say_nothing(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import host as a1111
    from lib_optim.hosts.forge import host as forge
    from lib_optim.hosts.standalone import host as standalone
    from lib_optim.plan.errors import HostError

    for cls in (a1111.A1111Host, forge.ForgeHost, standalone.StandaloneHost):
        original = cls.load

        def load(self: Any, checkpoint: Any, original: Any = original) -> None:
            with contextlib.suppress(HostError):
                original(self, checkpoint)

        patch.setattr(cls, "load", load)


@breaks(29, "failed load")
def hijack_left_out_after_a_failed_load(patch: Patch) -> None:
    from lib_optim.hosts.a1111.host import A1111Host

    never = property(lambda self: False, lambda self, value: None)
    patch.setattr(A1111Host, "_torn", never, raising=False)


@breaks(30, "settings", hosts=("a1111", "forge"))
def settings_not_put_back(patch: Patch) -> None:
    from lib_optim.hosts.webui import host

    @contextlib.contextmanager
    def kept(values: Any) -> Any:
        yield

    patch.setattr(host, "kept", kept)


@breaks(30, "selection", hosts=("standalone", "a1111", "forge"))
def selection_not_put_back(patch: Patch) -> None:
    from lib_optim.hosts.a1111 import host as a1111
    from lib_optim.hosts.forge import host as forge
    from lib_optim.hosts.standalone import host as standalone

    for cls in (a1111.A1111Host, forge.ForgeHost, standalone.StandaloneHost):
        patch.setattr(cls, "restore", lambda self, state: None)
