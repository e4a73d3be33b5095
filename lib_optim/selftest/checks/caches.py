"""Statements 9, 13, 14 and 15: what the host remembers never shows in another image."""

from __future__ import annotations

import re
from contextlib import ExitStack

from lib_optim.plan.errors import HostError
from lib_optim.selftest.bench import Bench, Failed, Skipped
from lib_optim.selftest.files import PREFIX, write_embedding, write_vae

__all__ = [
    "order_does_not_matter",
    "text_encoder_shows_at_once",
    "textual_inversion_survives",
    "vae_override_survives",
    "vae_under_override_is_refused",
]


def text_encoder_shows_at_once(bench: Bench) -> None:
    """9: between two images of one prompt, and for prompts of unequal length."""
    if "text_encoder" not in bench.components:
        raise Skipped("this host cannot write text encoders")
    with bench.session({"text_encoder"}) as session:
        with bench.exclusive(), session.live_weights() as live:
            bench.image(bench.plain)
            bench.write(live, 1.0)
            changed = bench.image(bench.plain)
            bench.write(live, 0.5)
            half, long = bench.image(bench.plain), bench.image(bench.long)
        bench.differ(changed, bench.before["plain"], "another text encoder against the base")
        bench.differ(half, changed, "the text encoder at alpha 0.5 against alpha 1, same trial")
        bench.differ(long, bench.before["long"], "another text encoder against the base, prompt of several chunks")
        bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "after restore against the base")
        bench.same(bench.fresh_image(bench.long), bench.before["long"], "after restore, prompt of several chunks")


def _with_vae(bench: Bench, stack: ExitStack) -> None:
    """Select the self-test's VAE until `stack` is left, which takes the lock again for it."""
    if not any(key.startswith("first_stage_model.") for key in bench.header.tensors):
        raise Skipped("the checkpoint has no VAE of its own to make another from")
    path = bench.add_file(bench.folder / f"{PREFIX}vae.safetensors")
    write_vae(path, bench.header, bench.tensor)
    override = bench.probe.vae_override(path)

    def leave() -> None:
        with bench.exclusive():
            override.__exit__(None, None, None)
        bench.unsettle()

    with bench.exclusive():
        override.__enter__()
    bench.unsettle()
    stack.callback(leave)


def vae_override_survives(bench: Bench) -> None:
    """13: its image, its infotext, its tensors."""
    with ExitStack() as stack:
        _with_vae(bench, stack)
        before, weights = bench.fresh_image(bench.plain), bench.weights()
        bench.differ(before, bench.before["plain"], "another VAE against the base's")
        with bench.session() as session:
            (merged,) = bench.trial(session, 0.5, [bench.plain])
        after = bench.fresh_image(bench.plain)
        bench.same(after, before, "image with the VAE after the run against the one before")
        bench.unchanged(bench.weights(), weights, "After a trial under a VAE override")
        for image, when in ((merged, "during"), (after, "after")):
            named = _vae_fields(image.infotext)
            bench.expect(named == _vae_fields(before.infotext), f"the infotext {when} the run names another VAE")
    bench.same(bench.fresh_image(bench.plain), bench.before["plain"], "after the override against the base")


def _vae_fields(infotext: str) -> list[str]:
    return sorted(re.findall(r"(?:VAE|Module \d+)[^:,\n]*: [^,\n]*", infotext))


def vae_under_override_is_refused(bench: Bench) -> None:
    """13: merging the VAE while another one is selected would destroy the selection."""
    if not bench.capabilities.vae:
        raise Skipped("this host cannot write VAEs")
    with ExitStack() as stack:
        _with_vae(bench, stack)
        before = bench.weights()
        try:
            with bench.session({*bench.components, "vae"}) as session:
                bench.trial(session, 0.5, [bench.plain])
        except HostError:
            pass
        else:
            raise Failed("the VAE was merged although another one is selected")
        bench.unchanged(bench.weights(), before, "After the refusal")


def textual_inversion_survives(bench: Bench) -> None:
    """14."""
    folder = bench.probe.embeddings_folder()
    name = f"{PREFIX}word"
    job = bench.job(f"a photo of {name} on a mat")
    bare = bench.fresh_image(job)
    path = bench.add_file(folder / f"{name}.safetensors")
    write_embedding(path, _widths(bench))
    try:
        _reload_embeddings(bench)
        before = bench.fresh_image(job)
        if before.digest == bare.digest:
            raise Skipped("the host did not apply the textual inversion that the self-test made")
        with bench.session() as session:
            (merged,) = bench.trial(session, 1.0, [job])
        bench.differ(merged, before, "textual inversion in the merge against the base")
        bench.same(bench.fresh_image(job), before, "textual inversion after the run against before")
    finally:
        path.unlink(missing_ok=True)
        _reload_embeddings(bench)


def _reload_embeddings(bench: Bench) -> None:
    with bench.exclusive():
        bench.probe.reload_embeddings()
    bench.unsettle()
    bench.fresh_image(bench.plain)  # another prompt: hosts remember what the last one came to


def _widths(bench: Bench) -> dict[str, int]:
    widths = [
        info.shape[1]
        for key, info in sorted(bench.header.tensors.items())
        if key.endswith(("token_embedding.weight", "token_embedding.wrapped.weight")) and len(info.shape) == 2
    ]
    if len(widths) not in (1, 2):
        raise Skipped("the self-test makes textual inversions for SD1 and SDXL only")
    return {"emb_params": widths[0]} if len(widths) == 1 else {"clip_l": widths[0], "clip_g": widths[1]}


def order_does_not_matter(bench: Bench) -> None:
    """15: three trials, each of its own keys, in two orders."""
    with bench.session() as session:
        keys = sorted(session.keys())
        trials = [(0.3, keys), (0.8, keys[::2]), (1.0, keys[1::3])]
        first = [bench.trial(session, alpha, [bench.plain], some)[0] for alpha, some in trials]
        second = {n: bench.trial(session, trials[n][0], [bench.plain], trials[n][1])[0] for n in (2, 0, 1)}
    bench.differ(first[0], first[1], "two different trials")
    for n, image in enumerate(first):
        bench.same(second[n], image, f"trial {n + 1} in another order")
