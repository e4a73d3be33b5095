from __future__ import annotations

import pytest

from lib_optim.plan.nearest import did_you_mean


@pytest.mark.parametrize(
    ("name", "known", "answer"),
    [
        ("stpes", ["steps", "seed"], " Did you mean 'steps'?"),
        ("in5", ["IN05", "OUT05"], " Did you mean 'IN05'?"),
        ("cfg", ["cfg_scale", "steps"], " Did you mean 'cfg_scale'?"),
        ("xyzzy", ["steps", "seed"], ""),
        ("steps", [], ""),
        ("", ["steps"], ""),
    ],
)
def test_the_closest_name_in_any_case(name: str, known: list[str], answer: str) -> None:
    assert did_you_mean(name, known) == answer
