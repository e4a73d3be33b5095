"""Statements 16 to 18, 24 to 26 and 29: what others do to the host's model mid-run is noticed, never written over."""

from __future__ import annotations

from lib_optim.hosts.base import Checkpoint
from lib_optim.plan.errors import HostChanged, HostError, OptimError
from lib_optim.selftest.bench import Bench, Failed, Skipped
from lib_optim.selftest.files import PREFIX
from lib_optim.selftest.pixels import fingerprint

__all__ = [
    "another_checkpoint_chosen",
    "broken_file_is_refused",
    "kept_models_stay_clean",
    "list_refreshed",
    "model_made_anew",
    "nothing_loaded_yet",
    "quantised_is_refused",
    "reload_gives_new_bits",
]


def another_checkpoint_chosen(bench: Bench) -> None:
    """16: while the merge is in place. The image is the merge's or none, the next trial refused, the choice stands."""
    variant = bench.variant()
    with bench.session() as session:
        (fresh,) = bench.trial(session, 0.5, [bench.plain])
        before = bench.probe.chosen()
        try:
            with bench.exclusive(), session.live_weights() as live:
                bench.write(live, 0.5)
                choosing = bench.in_thread(lambda: bench.probe.choose(variant))
                choosing.done(0.3)  # where a choice waits for the lock it does not get further than that
                image = bench.image(bench.plain)
            bench.same(image, fresh, "image made after another checkpoint was chosen against the same before")
        except HostChanged:
            pass
        choosing.result("choosing another checkpoint")
        bench.expect(bench.probe.chosen() != before, "the user's choice of a checkpoint was taken back")
        try:
            bench.trial(session, 0.5, [bench.plain])
        except HostChanged as error:
            reason = str(error)
        else:
            raise Failed("a trial ran although another checkpoint was chosen")
        bench.expect(len(reason) > 20, "the refusal gives no reason")
        if "client" in bench.before:
            seen = bench.client_image(bench.plain)
            bench.differ(seen, bench.before["client"], "another client's image after the user's choice")
    bench.back_to_base()
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "after going back to the base")


def list_refreshed(bench: Bench) -> None:
    """17: by another thread, with the merge in place and between two trials."""
    with bench.session() as session:
        (fresh,) = bench.trial(session, 0.5, [bench.plain])
        with bench.exclusive(), session.live_weights() as live:
            bench.write(live, 0.5)
            listed = bench.in_thread(lambda: bench.host.checkpoints(refresh=True)).result("refreshing the list")
            image = bench.image(bench.plain)
        bench.host.checkpoints(refresh=True)
        (again,) = bench.trial(session, 0.5, [bench.plain])
    bench.expect(any(c.path == bench.base.path for c in listed), "the refreshed list lacks the loaded checkpoint")
    bench.same(image, fresh, "image after the list was refreshed mid-trial")
    bench.same(again, fresh, "trial after the list was refreshed")
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "after the run against the base")


def model_made_anew(bench: Bench) -> str:
    """18."""
    with bench.session() as session:
        (fresh,) = bench.trial(session, 0.5, [bench.plain])
        with bench.exclusive():
            stale = dict(bench.probe.live_tensors())
            model = bench.probe.model()
            bench.new_model()
            same_object = bench.probe.model() is model
            marks = fingerprint({name: tensor for name, tensor in stale.items() if not tensor.is_meta})
        try:
            (image,) = bench.trial(session, 0.5, [bench.plain])
            bench.same(image, fresh, "trial after the model was made anew")
            seen = "the trial went on, on the new model"
        except HostChanged:
            seen = "the session was refused"
        now = fingerprint({name: stale[name] for name in marks if not stale[name].is_meta})
        if not same_object:
            bench.unchanged(now, {name: marks[name] for name in now}, "The model that was thrown away was written to")
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "after the model was made anew")
    return f"{'same' if same_object else 'another'} model object; {seen}"


def quantised_is_refused(bench: Bench) -> str:
    """24."""
    before = bench.weights()
    said = ""
    with bench.exclusive(), bench.probe.quantised():
        try:
            bench.host.open_session(bench.base, bench.components).close()
        except HostError as error:
            said = str(error)
    bench.unchanged(bench.weights(), before, "After refusing a quantised model")
    bench.expect(bool(said), "a model in quantised storage was accepted")
    bench.expect(said.rstrip().count("\n") == 0, "the refusal is not one sentence")
    return said


def reload_gives_new_bits(bench: Bench) -> None:
    """25."""
    with bench.session() as session:
        (fresh,) = bench.trial(session, 0.5, [bench.plain])
    before = bench.weights()
    with bench.exclusive():
        name, tensor = max(bench.probe.live_tensors().items(), key=lambda item: item[1].numel())
        tensor.data.copy_(tensor.detach().clone().neg())
        bench.expect(fingerprint({name: tensor}) != {name: before[name]}, "the tensor could not be made dirty")
        bench.new_model()
    bench.unchanged(bench.weights(), before, "After a reload from disk")
    with bench.session() as session:
        (image,) = bench.trial(session, 0.5, [bench.plain])
    bench.same(image, fresh, "trial after a reload from disk")
    bench.unchanged(bench.weights(), before, "After a trial on the reloaded model")


def kept_models_stay_clean(bench: Bench) -> None:
    """26: between two trials of one session."""
    variant = bench.variant()
    with bench.exclusive():
        keeping = bench.probe.kept_models(2)
        keeping.__enter__()
    try:
        with bench.session() as session:
            bench.trial(session, 0.5, [bench.plain])
            with bench.exclusive():
                bench.load(variant)
                away = bench.image(bench.plain)
                bench.load(bench.base)
                back = bench.image(bench.plain)
            bench.same(away, bench.disk["plain"], "the other checkpoint during a pause")
            bench.same(back, bench.before["plain"], "the base again during a pause")
    finally:
        with bench.exclusive():
            keeping.__exit__(None, None, None)


def nothing_loaded_yet(bench: Bench) -> None:
    """29, placeholder."""
    with bench.session() as session:
        (fresh,) = bench.trial(session, 0.5, [bench.plain])
    bench.unsettle()
    with bench.exclusive(), bench.probe.no_model():
        try:
            bench.load(bench.base)
            with bench.host.open_session(bench.base, bench.components).live_weights() as live:
                bench.write(live, 0.5)
                image = bench.image(bench.plain)
        except OptimError as error:
            bench.expect(len(str(error)) > 20, "the error says nothing")
            return
    bench.same(image, fresh, "trial on a host where nothing was loaded")


def broken_file_is_refused(bench: Bench) -> str:
    """29, failed load: and what was loaded before comes back."""
    folder = bench.host.paths().models
    path = bench.add_file(folder / f"{PREFIX}broken.safetensors")
    path.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00 this is no model")
    said = ""
    try:
        listed = bench.host.checkpoints(refresh=True)
        broken = next((c for c in listed if c.path.name == path.name), Checkpoint(path.name, path))
        with bench.exclusive():
            state = bench.host.state()
            try:
                bench.load(broken)
            except OptimError as error:
                said = str(error)
            finally:
                path.unlink(missing_ok=True)  # Forge renames what it cannot read
                bench.host.checkpoints(refresh=True)
                bench.host.restore(state)
    except OSError as error:
        raise Skipped(f"no file can be written into the models folder ({error.strerror})") from error
    bench.expect(bool(said), "a broken checkpoint was loaded without a word")
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "after a load that failed")
    return said
