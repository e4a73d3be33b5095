"""The text that WebUIs write into their pictures: prompt, negative prompt, settings."""

from __future__ import annotations

__all__ = ["infotext_prompt"]

_AFTER = ("Negative prompt: ", "Steps: ")
"""What a line begins with that comes after the prompt, in A1111, Forge and reForge."""


def infotext_prompt(text: str) -> str:
    """Return the prompt in a WebUI's infotext; empty if there is none.

    The settings' line ends the prompt; a text without one is no infotext but a prompt of its own, and is not taken.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    ends = [i for i, line in enumerate(lines) if line.startswith(_AFTER)]
    if not any(lines[i].startswith("Steps: ") for i in ends):
        return ""
    return "\n".join(lines[: ends[0]]).strip()
