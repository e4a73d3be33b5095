"""Statements 10 to 12: LoRAs neither spoil merges nor are spoilt by them."""

from __future__ import annotations

from lib_optim.selftest.bench import Bench

__all__ = ["lora_before_none_during", "lora_in_one_trial_only", "lora_survives", "none_before_lora_during"]


def lora_survives(bench: Bench) -> None:
    """10."""
    job = bench.lora_job()
    bench.variant()
    before = bench.weights()
    with bench.session() as session:
        bench.fresh_image(job)  # the very LoRA is in the model when the trial begins
        (merged,) = bench.trial(session, 1.0, [job])
    bench.same(merged, bench.disk["lora"], "LoRA image of the merge against the variant from disk with it")
    bench.same(bench.fresh_image(job), bench.before["lora"], "LoRA image after the run against the one before")
    bench.same(
        bench.fresh_image(bench.plain), bench.before["plain"], "plain image after the run against the one before"
    )
    bench.unchanged(bench.weights(), before, "After a trial with a LoRA")


def lora_before_none_during(bench: Bench) -> None:
    """11, first half: the LoRA is still on, and was on earlier; all keys, and a few only."""
    job = bench.lora_job()
    bench.variant()
    with bench.session() as session:
        keys = list(filter(lambda key: ".input_blocks." not in key, session.keys()))
        bench.fresh_image(bench.plain)
        (part,) = bench.trial(session, 0.7, [bench.plain], keys)
        for history in ([job], [job, bench.plain]):
            for earlier in history:
                bench.fresh_image(earlier)
            when = "with a LoRA still on" if len(history) == 1 else "with a LoRA used earlier"
            plain, lora, again = bench.trial(session, 1.0, [bench.plain, job, bench.plain])
            bench.same(plain, bench.disk["plain"], f"merge {when} against the variant from disk")
            bench.same(lora, bench.disk["lora"], f"merge and LoRA {when} against the variant from disk")
            bench.same(again, bench.disk["plain"], f"merge after its LoRA image {when} against the variant from disk")
            for earlier in history:
                bench.fresh_image(earlier)
            (image,) = bench.trial(session, 0.7, [bench.plain], keys)
            bench.same(image, part, f"merge of some blocks {when} against the same without history")
    bench.same(
        bench.fresh_image(bench.plain), bench.before["plain"], "plain image after the run against the one before"
    )


def none_before_lora_during(bench: Bench) -> None:
    """11, second half."""
    job = bench.lora_job()
    bench.variant()
    bench.fresh_image(bench.plain)
    with bench.session() as session:
        lora, plain, again = bench.trial(session, 1.0, [job, bench.plain, job])
    bench.same(lora, bench.disk["lora"], "LoRA during the merge against the variant from disk with it")
    bench.same(plain, bench.disk["plain"], "plain image after it against the variant from disk")
    bench.same(again, bench.disk["lora"], "LoRA again during the merge against the variant from disk with it")


def lora_in_one_trial_only(bench: Bench) -> None:
    """12."""
    job = bench.lora_job()
    bench.fresh_image(bench.plain)
    with bench.session() as session:
        (fresh,) = bench.trial(session, 0.6, [bench.plain])
        bench.trial(session, 0.3, [job])
        (after,) = bench.trial(session, 0.6, [bench.plain])
    bench.same(after, fresh, "trial after one with a LoRA against a fresh trial")
