"""The bounds of one parameter, and the one grammar in which users write them.

0.1..0.5            float range              {8, 16, 32}    one of these
0..1 step 0.05      float range in steps     bool           true or false
1e-6..1 log         logarithmic              =0.3           fixed, not searched
1..64 int           whole numbers            =IN05          same value as that block or parameter
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from lib_optim.plan.errors import PlanError
from lib_optim.plan.noun import Noun

__all__ = ["Bound", "Value", "parse_bound"]

Value = bool | int | float | str

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"^(?P<low>{_NUMBER})\s*\.\.\s*(?P<high>{_NUMBER})(?P<rest>(?:\s+(?:log|int|step\s+{_NUMBER}))*)$")


@dataclass(frozen=True)
class Bound(Noun):
    """Where one parameter may lie.

    Attributes:
        kind: ``float`` and ``int`` use `low` and `high` (both included), `step` and `log`; ``choice`` uses
            `choices`; ``bool`` uses nothing; ``fixed`` uses `value`; ``same`` uses `value` as the name of
            the block or parameter to copy.
    """

    kind: Literal["float", "int", "bool", "choice", "fixed", "same"]
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()
    value: Value | None = None

    def problem(self) -> str | None:
        """Return why these bounds make no sense, or None."""
        if self.kind in ("float", "int"):
            return self._range_problem()
        if self.kind == "choice" and not self.choices:
            return "a choice needs at least one value"
        if self.kind in ("fixed", "same") and self.value is None:
            return "a fixed bound needs a value"
        return None

    def _range_problem(self) -> str | None:
        if self.low is None or self.high is None:
            return "a range needs a lower and an upper end"
        if self.low >= self.high:
            return f"the lower end {self.low:g} is not below the upper end {self.high:g}"
        if self.log and (self.low <= 0 or self.step is not None):
            return "a logarithmic range must begin above 0 and have no step"
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            return f"the step {self.step:g} does not fit between {self.low:g} and {self.high:g}"
        if self.kind == "int" and not (float(self.low).is_integer() and float(self.high).is_integer()):
            return "the ends of a whole-number range must be whole numbers"
        return None

    def contains(self, value: Any) -> bool:
        """Tell whether `value` lies within these bounds (``same`` contains everything)."""
        if self.kind == "bool":
            return isinstance(value, bool)
        if self.kind == "choice":
            return value in self.choices
        if self.kind == "fixed":
            return bool(value == self.value)
        if self.kind == "same":
            return True
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return number and self.low is not None and self.high is not None and self.low <= value <= self.high

    def __str__(self) -> str:
        if self.kind == "bool":
            return "bool"
        if self.kind == "choice":
            return "{" + ", ".join(_text(choice) for choice in self.choices) + "}"
        if self.kind in ("fixed", "same"):
            return f"={_text(self.value)}"
        text = f"{_text(self.low)}..{_text(self.high)}"
        text += " int" if self.kind == "int" else ""
        text += " log" if self.log else ""
        return text + (f" step {_text(self.step)}" if self.step is not None else "")


def parse_bound(text: str) -> Bound:
    """Parse `text` in the grammar of this module.

    Raises:
        PlanError: Not in the grammar, or bounds that make no sense (reversed, log from 0).
    """
    bound = _parse(text.strip())
    if bound is None:
        raise PlanError(
            f"'{text.strip()}' is no bound; write 0..1, 0..1 step 0.05, 1..8 int, 1e-4..1 log, {{a, b}}, bool, "
            "=0.3 or =IN05."
        )
    problem = bound.problem()
    if problem is not None:
        raise PlanError(f"'{text.strip()}' cannot be used: {problem}.")
    return bound


def _parse(text: str) -> Bound | None:
    if text.casefold() == "bool":
        return Bound("bool")
    if text.startswith("{") and text.endswith("}"):
        choices = tuple(_value(part) for part in text[1:-1].split(",") if part.strip())
        return Bound("choice", choices=choices)
    if text.startswith("="):
        value = _value(text[1:])
        if value == "":
            return None
        return Bound("same" if isinstance(value, str) else "fixed", value=value)
    if re.fullmatch(_NUMBER, text):
        return Bound("fixed", value=_value(text))
    match = _RANGE.match(text)
    if match is None:
        return None
    rest = match["rest"].split()
    step = float(rest[rest.index("step") + 1]) if "step" in rest else None
    kind: Literal["int", "float"] = "int" if "int" in rest else "float"
    return Bound(kind, float(match["low"]), float(match["high"]), step, "log" in rest)


def _value(text: str) -> Value:
    text = text.strip().strip("'\"")
    if text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(_NUMBER, text) else text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int) else f"{value:.12g}" if isinstance(value, float) else str(value)
