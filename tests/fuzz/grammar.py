"""Hypothesis strategies for the small languages that users write: nearly right, in all the ways there are."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

__all__ = ["GRAMMAR"]

_NUMBER = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(repr),
    st.sampled_from(("", ".", "1.", ".5", "1e5", "1e999", "٣")),
)
_BLOCK = st.sampled_from(
    ("BASE", "IN00", "IN05", "M00", "OUT11", "IN*", "IN00-IN05", "all", "NOT IN00", "OUT?", "x", "", "IN99")
)
_WORD = st.text(st.sampled_from("ab{}|_$:\\2 "), max_size=30)
_BOUND = st.one_of(
    st.builds("{}..{}{}".format, _NUMBER, _NUMBER, st.sampled_from(("", " log", " int", " step 0.1", " step 0"))),
    st.lists(_NUMBER, max_size=5).map(lambda items: "{" + ", ".join(items) + "}"),
    st.builds("={}".format, _NUMBER | _BLOCK), st.just("bool"), _NUMBER,
)  # fmt: skip
_STRATEGY = st.sampled_from(
    ("all", "single", "none", "{type: group, groups: {a: IN00}}", "{type: group}", "{type: single, curve: 4}",
     "{type: single, curve: 10000000}", "[all, all]", "{type: all, blocks: x}", "5", "null",
     "{type: single, curve: -1}")
)  # fmt: skip
_GUIDE = st.builds(
    "components:\n  {}: {}\nbounds:\n  {}: {}\n".format,
    st.sampled_from(("unet", "text_encoder", "vae", "x")), _STRATEGY, _BLOCK | st.just("alpha"), _BOUND,
)  # fmt: skip
_PATTERN = st.sampled_from(
    (".*", "(", "[", "a{99999}", "(a+)+$", "(?i)x", "(?P<a>x)(?P=a)", "\\\\", "(x|x)*y", "x" * 300, "{n}")
)
_MAP = st.builds(
    "id: x\narchitecture: {}\nblocks:\n  - {{name: '{}', component: {}, from: {}, to: {}, keys: ['{}']}}\n".format,
    st.sampled_from(("sd1", "sdxl", "x")), st.sampled_from(("A{n}", "A", "{n}", "unet", "", "A B")),
    st.sampled_from(("unet", "vae", "x")), st.sampled_from(("0", "-1", "999", "1e3", "x")),
    st.sampled_from(("0", "5", "999", "99999999999")), _PATTERN,
)  # fmt: skip
_PAIR = st.builds("{}: {}".format, st.sampled_from(("Steps", "Seed", "Size", "CFG scale", "Clip skip", "X", "Eta")),
                  _NUMBER | st.sampled_from(('"a, b"', '"\\u', "9x", "512x512", "99999999999x1")))  # fmt: skip
_ROW = st.lists(_NUMBER, min_size=1, max_size=30).map(",".join)

GRAMMAR: Mapping[str, st.SearchStrategy[str]] = {
    "bound": _BOUND,
    "guide": _GUIDE,
    "map": _MAP,
    "prompt": _WORD,
    "weights": st.lists(st.builds("{}:{}".format, _BLOCK, _NUMBER) | _NUMBER, max_size=30).map(",".join),
    "infotext": st.builds("x\nSteps: {}, {}".format, _NUMBER, st.lists(_PAIR, max_size=5).map(", ".join)),
    "table": st.builds(
        "{},score\n{}".format, st.just(",".join(map(str, range(27)))), st.lists(_ROW, max_size=4).map("\n".join)
    ),
}
"""Name of the language to texts in it, more or less."""
