"""What the WebUI offers by name: styles and upscalers."""

from __future__ import annotations

__all__ = ["styles", "upscalers"]


def styles() -> tuple[str, ...]:
    """Return the names of the user's styles; rows that only divide the list are none."""
    from modules import shared

    database = getattr(shared, "prompt_styles", None)
    rows = dict(getattr(database, "styles", {}) or {})
    return tuple(name for name, style in rows.items() if getattr(style, "prompt", None) is not None)


def upscalers() -> tuple[str, ...]:
    """Return what hires fix can upscale with, in latent space and as a picture."""
    from modules import shared

    latent = tuple(getattr(shared, "latent_upscale_modes", ()) or ())
    return (*latent, *(upscaler.name for upscaler in getattr(shared, "sd_upscalers", ()) or ()))
