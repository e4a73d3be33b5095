"""BERT's uncased WordPiece tokenizer (Devlin et al. 2018; Wu et al. 2016), from a ``vocab.txt`` alone.

Gives the same ids as `transformers.BertTokenizer` (which the tests compare it with), whose version differs from
host to host and which would ask a model hub for the vocabulary.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from lib_optim.plan.errors import ScorerError

__all__ = ["BLIP_TOKENS", "WordPiece", "refuse_other_size"]

BLIP_TOKENS = ("[DEC]", "[ENC]")
"""What BLIP adds to BERT's vocabulary."""

_SPECIAL = ("[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]")
_LONGEST_WORD = 100
_CJK = re.compile(
    "([\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f"
    "\U0002b820-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f])"
)


class WordPiece:
    """A tokenizer.

    Args:
        tokens: The vocabulary, id by position; must have [UNK], [SEP], [PAD], [CLS] and [MASK].
        added: Tokens that come after it; found in a text as they are written.
        where: Where the vocabulary comes from, for messages.

    Raises:
        ScorerError: A special token is missing.
    """

    def __init__(self, tokens: Iterable[str], added: Iterable[str] = (), where: str = "The vocabulary") -> None:
        self._ids = {token: i for i, token in enumerate(tokens)}
        missing = [token for token in _SPECIAL if token not in self._ids]
        if missing:
            raise ScorerError(f"{where} lacks the token {missing[0]}; it is not BERT's vocab.txt.")
        for token in added:
            self._ids.setdefault(token, len(self._ids))
        self._unbroken = re.compile("(" + "|".join(re.escape(token) for token in (*_SPECIAL, *added)) + ")")

    @classmethod
    def from_file(cls, path: Path, added: Iterable[str] = ()) -> WordPiece:
        """Read ``vocab.txt``: one token a line, UTF-8.

        Raises:
            ScorerError: It cannot be read, or lacks a special token.
        """
        try:
            with path.open(encoding="utf-8") as lines:
                tokens = [line.rstrip("\n") for line in lines]
        except (OSError, UnicodeDecodeError) as error:
            raise ScorerError(f"The vocabulary {path} can't be read: {error}.") from error
        return cls(tokens, added, f"The vocabulary {path}")

    def __len__(self) -> int:
        """How many ids there are, those of the added tokens included."""
        return len(self._ids)

    def encode(self, text: str, length: int) -> tuple[list[int], list[int]]:
        """Return ids ``[CLS] text [SEP] [PAD] …`` and mask (1 for what is no padding), both `length` long.

        A text that is too long loses its end.
        """
        body = [self._ids[token] for token in self.tokens(text)][: length - 2]
        ids = [self._ids["[CLS]"], *body, self._ids["[SEP]"]]
        padding = length - len(ids)
        return ids + [self._ids["[PAD]"]] * padding, [1] * len(ids) + [0] * padding

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of `text`, without the ones that `encode` puts around them."""
        found: list[str] = []
        for i, part in enumerate(self._unbroken.split(text)):
            if i % 2:
                found.append(part)
            else:
                # Letter by letter, as transformers does: a capital sigma at a word's end stays a plain one.
                for word in _words("".join(c.lower() for c in part)):
                    found.extend(self._pieces(word))
        return found

    def _pieces(self, word: str) -> list[str]:
        """Greedy longest match from the left; a word with a part that is not in the vocabulary is unknown."""
        if len(word) > _LONGEST_WORD:
            return ["[UNK]"]
        pieces: list[str] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self._ids), None)
            if end is None:
                return ["[UNK]"]
            pieces.append(prefix + word[start:end])
            start = end
        return pieces


def _words(text: str) -> Iterator[str]:
    cleaned = "".join(" " if _is_space(c) else c for c in text if not _is_noise(c))
    spaced = unicodedata.normalize("NFC", _CJK.sub(r" \1 ", cleaned))
    for word in spaced.split():
        bare = "".join(c for c in unicodedata.normalize("NFD", word.lower()) if unicodedata.category(c) != "Mn")
        yield from "".join(f" {c} " if _is_punctuation(c) else c for c in bare).split()


def _is_space(char: str) -> bool:
    return char in " \t\n\r" or unicodedata.category(char) == "Zs"


def _is_noise(char: str) -> bool:
    return char in "\0\ufffd" or (char not in "\t\n\r" and unicodedata.category(char).startswith("C"))


def _is_punctuation(char: str) -> bool:
    """ASCII signs that Unicode calls symbols (``$+<=>^`|~``) count as punctuation too."""
    return ("!" <= char <= "~" and not char.isalnum()) or unicodedata.category(char).startswith("P")


def refuse_other_size(tokenizer: WordPiece, size: int, path: Path, title: str) -> None:
    """Look whether a BLIP network of `size` tokens was made for this vocabulary.

    Raises:
        ScorerError: It has another number of tokens; names `path`.
    """
    if len(tokenizer) != size:
        raise ScorerError(
            f"{title}: {path} has {len(tokenizer) - len(BLIP_TOKENS)} tokens instead of {size - len(BLIP_TOKENS)}; it "
            "must be the vocab.txt of bert-base-uncased."
        )
