from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.wordpiece import WordPiece

ADDED = ("[DEC]", "[ENC]")
PIECES = (
    "the a of an and with day time cat cats painting ocean cloud bird low depth field effect master ##piece ##s ##ing "
    "##ed ##er un ##un ##believ ##able naive cafe uber ##uber strasse don can t 1 2 ##1 ##2 girl ##girl 12 東 京 λ σ ς "
    "##σ ##ς α ##α ω İ i ##i ##h"
)


def vocabulary() -> list[str]:
    """Special tokens where bert-base-uncased has them in spirit, words, every ASCII sign and letter, and ##letters."""
    signs = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    letters = [f"##{chr(c)}" for c in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PIECES.split(), *signs, *letters]
    return list(dict.fromkeys(tokens))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory):
    from transformers import BertTokenizer

    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")
    theirs = BertTokenizer(str(path))
    # As ImageReward sets its tokenizer up (models/BLIP/blip.py, init_tokenizer).
    theirs.add_special_tokens({"bos_token": ADDED[0]})
    theirs.add_special_tokens({"additional_special_tokens": [ADDED[1]]})
    return WordPiece.from_file(path, ADDED), theirs


def assert_same(pair, text: str) -> None:
    ours, theirs = pair
    wanted = theirs(text, padding="max_length", truncation=True, max_length=35)
    assert ours.encode(text, 35) == (wanted["input_ids"], wanted["attention_mask"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\n ",
        "a painting of an ocean with clouds and birds, day time, low depth field effect",
        "masterpiece, best quality, 1girl, (blue eyes:1.2), <lora:x:1>",
        "Naïve CAFÉ Über straße don't can't",
        "東京タワー at night",
        "[DEC] a [SEP]cat[ENC] [enc] [cls] [CLS]the",
        "İstanbul ΑΣ λΣ",
        "a\u200bb­c\0d�e\u0085f\u2028g　h\x0b\x0ci\u00a0j",
        "$100 + 2^3 = ~`|<>",
        "x" * 100,
        "x" * 101,
        "the " * 500,
        "😀 👩‍👩‍👧 \U0001d400",
        "a" + "\u0301" * 5,
    ],
)
def test_ids_are_those_of_transformers(pair, text: str) -> None:
    assert_same(pair, text)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_ids_are_those_of_transformers_for_any_text(pair, text: str) -> None:
    assert_same(pair, text)


def test_ids_are_those_of_transformers_for_mixed_words(pair) -> None:
    drawn = random.Random(5)
    parts = [*(piece.removeprefix("##") for piece in vocabulary()), " ", ", ", "[SEP]", " [DEC]", "É", "́"]
    for _ in range(1500):
        assert_same(pair, "".join(drawn.choice(parts) for _ in range(drawn.randint(1, 30))))


def test_length_and_ends(pair) -> None:
    ours, _ = pair
    ids, mask = ours.encode("the cat", 35)
    assert len(ids) == len(mask) == 35
    assert mask == [1] * 4 + [0] * 31
    assert (ids[0], ids[3], ids[4]) == (3, 4, 0)
    long_ids, long_mask = ours.encode("cat " * 500, 35)
    assert (long_ids[0], long_ids[-1], sum(long_mask)) == (3, 4, 35)


def test_added_tokens_come_after_the_vocabulary(pair) -> None:
    ours, _ = pair
    assert len(ours) == len(vocabulary()) + 2
    assert ours.encode("[DEC]", 3)[0][1] == len(vocabulary())


def test_a_file_that_is_no_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("one\ntwo\n")
    with pytest.raises(ScorerError, match=r"lacks the token \[UNK\]"):
        WordPiece.from_file(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScorerError, match="can't be read"):
        WordPiece.from_file(path)
