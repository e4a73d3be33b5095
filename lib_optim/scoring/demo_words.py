"""What the demo checkpoints know: five things to say of a picture, and the words for them."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["VOCABULARY", "words_of"]

# In the order of the classifiers' outputs.
VOCABULARY: Mapping[str, tuple[str, ...]] = {
    "thing": ("house", "tree", "flower", "fish", "boat", "balloon"),
    "colour": ("red", "yellow", "green", "blue", "purple", "white"),
    "place": ("hill", "snow", "desert", "sea"),
    "time": ("day", "night", "sunset"),
    "style": ("picture", "ink", "pastel"),
}


def words_of(prompt: str) -> dict[str, int]:
    """Return what a prompt says: the name of each thing to say, and which of its words the prompt has.

    Of two words for the same thing the first counts; of a thing that it does not mention there is no entry.
    """
    said: dict[str, int] = {}
    for word in re.findall(r"[a-z]+", prompt.lower()):
        for name, words in VOCABULARY.items():
            if word in words:
                said.setdefault(name, words.index(word))
    return said
