"""The statements, and who checks them: rows of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib_optim.selftest.bench import Bench

__all__ = ["STATEMENTS", "Row", "rows"]

STATEMENTS: Mapping[int, str] = {
    1: "Opening and closing the live-weights context without a write changes no image and no parameter bit",
    2: "lerp to alpha .5, then 0, gives a bit-identical image; alpha .5 gives a different one",
    3: "alpha 1 on all keys equals the host loading checkpoint B from disk",
    4: "alpha .5 equals a saved merged file loaded by the host, with and without a LoRA in the prompt",
    5: "Every checkpoint key of UNet and TE maps to exactly one live parameter; unmapped keys are listed, not ignored",
    6: "A wrong shape, an unknown key or a non-finite value raises before the first write",
    7: "An exception mid-write, mid-generation and mid-scoring leaves the original weights",
    8: "Stop, skip, page reload, UI reload and script unload leave the original weights",
    9: "A text-encoder-only change alters the image at once; after restore the base image returns",
    10: "A LoRA in the payload does not change the restored weights; LoRA image before = LoRA image after the run",
    11: "LoRA before the run, none during; and none before, LoRA during: merges are the same as without history",
    12: "LoRA on in trial k and off in trial k+1: trial k+1 equals a fresh trial with its parameters",
    13: "A VAE override survives the run and its infotext stays true",
    14: "Textual inversion gives the same image before and after",
    15: "Trial n's image does not depend on trials 1…n-1 (shuffle the order, compare)",
    16: "Base checkpoint changed mid-run by options post: run pauses or aborts with a reason, no image is scored under "
    "wrong weights, the user's choice stands",
    17: "Checkpoint list refreshed mid-run: nothing changes",
    18: "Model object re-created between trials: stale references are noticed, never written",
    19: "Another client's txt2img during a run waits and gets the base model's image",
    20: "Stop between two trials is not lost; stop mid-image never yields a score; flags are clear afterwards and a "
    "normal txt2img works",
    21: "No partial image (interrupted or skipped) reaches a scorer",
    22: "No write happens without queue_lock; the lock is free after every exit path; on Forge the main thread answers "
    "during a run",
    23: "An error inside a main-thread task reaches the run manager (not None)",
    24: "nf4/fp4/gguf/scaled-fp8 models are refused before any write, with one sentence",
    25: "Forced reload gives new bits from disk (dirty one tensor first) and later trials use the new object",
    26: "With several models kept in memory, switching away and back during a pause never shows merged weights",
    27: "Every saved image's infotext names trial and recipe; after the run hash and name are the base's",
    28: "Progress and live preview are served during a run; memory at trial 50 equals that at trial 2",
    29: "First use with no model loaded (placeholder, failed load) gives a loaded model or a clear error",
    30: "opts, config.json and override settings equal their values before the run",
}


@dataclass(frozen=True)
class Row:
    """One check.

    Attributes:
        number: Of the statement.
        part: Which clause of it; empty for the whole.
        check: Returns a detail worth reading or None; raises ``Failed``, ``Skipped`` or ``Unavailable``.
    """

    number: int
    part: str
    check: Callable[[Bench], str | None]

    @property
    def statement(self) -> str:
        """The words of the checklist."""
        return STATEMENTS[self.number]

    @property
    def name(self) -> str:
        """As the report writes it: ``7 mid-write``."""
        return f"{self.number} {self.part}".strip()


def rows() -> tuple[Row, ...]:
    """Return every row, in the order in which they run."""
    from lib_optim.selftest.checks import (
        caches,
        flags,
        guards,
        lora,
        progress,
        run_course,
        run_ends,
        state,
        weights,
    )

    table: tuple[tuple[int, str, Callable[[Bench], str | None]], ...] = (
        (1, "", weights.opening_changes_nothing),
        (2, "", weights.halfway_and_back),
        (3, "", weights.same_as_loading),
        (4, "without a LoRA", weights.same_as_a_merged_file),
        (4, "with a LoRA", weights.same_as_a_merged_file_with_lora),
        (5, "", weights.keys_map_one_to_one),
        (6, "", weights.bad_input_is_refused),
        (7, "mid-write", weights.exception_mid_write),
        (7, "mid-generation", weights.exception_mid_generation),
        (7, "mid-scoring", run_ends.exception_mid_scoring),
        (8, "Stop", run_ends.stop_restores),
        (8, "skip", run_ends.skip_restores),
        (8, "script unload", run_ends.unload_restores),
        (8, "page reload", run_ends.needs_a_browser),
        (8, "UI reload", run_ends.needs_a_reload),
        (9, "", caches.text_encoder_shows_at_once),
        (10, "", lora.lora_survives),
        (11, "LoRA before, none during", lora.lora_before_none_during),
        (11, "none before, LoRA during", lora.none_before_lora_during),
        (12, "", lora.lora_in_one_trial_only),
        (13, "", caches.vae_override_survives),
        (13, "merging the VAE under it", caches.vae_under_override_is_refused),
        (14, "", caches.textual_inversion_survives),
        (15, "", caches.order_does_not_matter),
        (16, "one trial", guards.another_checkpoint_chosen),
        (16, "a run", run_course.choice_pauses_the_run),
        (17, "", guards.list_refreshed),
        (18, "", guards.model_made_anew),
        (19, "one trial", flags.other_client_waits),
        (19, "a run", run_course.client_waits_for_a_trial),
        (20, "stop between two trials", run_ends.stop_between_trials),
        (20, "stop mid-image", flags.stop_mid_image),
        (21, "a run", run_ends.no_partial_image_is_scored),
        (21, "the host's Interrupt", flags.interrupt_button),
        (21, "the host's Skip", flags.skip_button),
        (22, "writes of a run", run_course.writes_hold_the_lock),
        (22, "one holder", flags.lock_excludes),
        (22, "free after every exit", flags.lock_is_free_after_every_exit),
        (22, "main thread", flags.main_thread_answers),
        (23, "", flags.error_in_pipeline_arrives),
        (24, "", guards.quantised_is_refused),
        (25, "", guards.reload_gives_new_bits),
        (26, "between trials", guards.kept_models_stay_clean),
        (26, "a paused run", run_course.model_is_back_while_paused),
        (27, "one trial", state.infotext_names_the_merge),
        (27, "a run", run_course.saved_images_name_the_merge),
        (28, "steps of an image", progress.progress_is_served),
        (28, "live preview", progress.preview_is_served),
        (28, "a run", run_course.progress_of_the_run),
        (28, "memory", progress.memory_does_not_grow),
        (29, "nothing loaded", guards.nothing_loaded_yet),
        (29, "failed load", guards.broken_file_is_refused),
        (30, "settings", state.settings_are_kept),
        (30, "selection", state.selection_is_kept),
    )
    return tuple(Row(*row) for row in table)
