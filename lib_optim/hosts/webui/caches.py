"""Prompt caches of the WebUI, which are keyed by everything but the weights."""

from __future__ import annotations

__all__ = ["drop_prompt_caches"]


def drop_prompt_caches() -> None:
    """Forget every cached conditioning, first pass and hires pass.

    Old lists are emptied too, since objects that exist already hold references to them. Three entries suit every host.
    """
    from modules import processing

    owners = (
        (processing.StableDiffusionProcessing, ("cached_c", "cached_uc")),
        (processing.StableDiffusionProcessingTxt2Img, ("cached_hr_c", "cached_hr_uc")),
    )
    for owner, names in owners:
        for name in names:
            old = getattr(owner, name, None)
            if isinstance(old, list):
                old[:] = [None] * len(old)
            setattr(owner, name, [None, None, None])
