"""What scorers read: the caption that the user gave, else the prompt without what only the WebUI understands."""

from __future__ import annotations

import re

from lib_optim.plan.payload import Payload

__all__ = ["scoring_text", "without_markup"]

_NETWORK = re.compile(r"<[a-z_]+:[^<>]*>", re.IGNORECASE)
_WEIGHT = re.compile(r":\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\)")
_ESCAPED = {r"\(": "\ue000", r"\)": "\ue001", r"\[": "\ue002", r"\]": "\ue003"}
_KEYWORD = re.compile(r"\b(?:BREAK|AND)\b")
_SPACE = re.compile(r"\s+")
_LOST_COMMAS = re.compile(r"(?:\s*,)+(?=\s*,)")


def scoring_text(payload: Payload) -> str:
    """Return what scorers shall compare the images of `payload` with."""
    return payload.caption.strip() or without_markup(payload.prompt)


def without_markup(prompt: str) -> str:
    r"""Return `prompt` without ``<lora:x:1>``, emphasis ``(x:1.2)`` ``((x))`` ``[x]``, ``BREAK`` and ``AND``.

    Escaped brackets ``\(`` stay, as plain brackets: they are part of the words.
    """
    text = _NETWORK.sub(" ", prompt)
    for written, kept in _ESCAPED.items():
        text = text.replace(written, kept)
    text = _WEIGHT.sub(")", text)
    text = re.sub(r"[()\[\]]", "", text)
    for written, kept in _ESCAPED.items():
        text = text.replace(kept, written[1])
    text = _KEYWORD.sub(" ", text)
    text = _SPACE.sub(" ", _LOST_COMMAS.sub("", text))
    return text.replace(" ,", ",").strip(" ,")
