"""The bounds of one parameter, and the one grammar in which users write them.

| text | means | text | means |
|---|---|---|---|
| ``0.1..0.5`` | float range | ``{8, 16, 32}`` | one of these |
| ``0..1 step 0.05`` | float range in steps | ``bool`` | true or false |
| ``1e-6..1 log`` | logarithmic | ``=0.3`` or ``0.3`` | fixed, not searched |
| ``1..64 int`` | whole numbers | ``=IN05`` | same value as that block or parameter |
| | | ``="word"`` | fixed to that word |
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from lib_optim.plan.errors import PlanError
from lib_optim.plan.noun import Noun

__all__ = ["Bound", "Value", "parse_bound"]

Value = bool | int | float | str

# A dot before another dot belongs to the "..": 0...5 is 0 to .5
_NUMBER = r"[+-]?(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(
    rf"(?P<low>{_NUMBER})\s*\.\.\s*(?P<high>{_NUMBER})(?P<rest>(?:\s+(?:log|int|step\s+{_NUMBER}))*)", re.IGNORECASE
)
_ITEM = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^,'"{}]*?)\s*(?:,|$)""")
_NAME = re.compile(r"""[^\s'"{}=]+(?: +[^\s'"{}=]+)*""")
_STEP_TOLERANCE = 1e-8  # Optuna's, in steps
_MOST_STEPS = 1_000_000  # more, and rounding errors exceed that tolerance
_LARGEST_INT = 10**15  # a float holds every whole number up to here


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
        if self.kind == "choice" and len(set(self.choices)) < len(self.choices):
            return "a choice names a value twice"
        if self.kind == "fixed" and self.value is None:
            return "a fixed bound needs a value"
        if self.kind == "same" and not _is_name(self.value):
            return "a tie needs the name of a block or parameter"
        if not all(_is_usable(value) for value in (*self.choices, self.value)):
            return "a number is too large"
        return None

    def _range_problem(self) -> str | None:
        low, high, step = self.low, self.high, self.step
        if low is None or high is None:
            return "a range needs a lower and an upper end"
        if not all(math.isfinite(number) for number in (low, high, step or 0.0, high - low)):
            return "a number is too large"
        if low >= high:
            return f"the lower end {low:g} is not below the upper end {high:g}"
        if self.log and (low <= 0 or step is not None):
            return "a logarithmic range must begin above 0 and have no step"
        if self.kind == "int" and not all(_is_whole(number) for number in (low, high, step or 0)):
            return "the ends and the step of a whole-number range must be whole numbers of at most 15 digits"
        return None if step is None else self._step_problem(low, high, step)

    @staticmethod
    def _step_problem(low: float, high: float, step: float) -> str | None:
        if not 0 < step <= high - low:
            return f"the step {step:g} does not fit between {low:g} and {high:g}"
        if high - low > _MOST_STEPS * step:
            return f"the step {step:g} is too small"
        # In decimals, as Optuna counts; in binary 0..0.3 would not be three steps of 0.1.
        if (Decimal(str(float(high))) - Decimal(str(float(low)))) % Decimal(str(float(step))):
            return f"steps of {step:g} from {low:g} on do not meet {high:g}"
        return None

    def _is_on_step(self, value: float) -> bool:
        if self.low is None or self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) < _STEP_TOLERANCE

    def contains(self, value: Any) -> bool:
        """Tell whether `value` lies within these bounds, on a step if there are steps.

        ``same`` contains everything.
        """
        if self.kind == "bool":
            return isinstance(value, bool)
        if self.kind == "choice":
            return value in self.choices
        if self.kind == "fixed":
            return bool(value == self.value)
        if self.kind == "same":
            return True
        if isinstance(value, bool) or not isinstance(value, int if self.kind == "int" else int | float):
            return False
        if self.low is None or self.high is None or not _is_usable(value):
            return False
        return self.low <= value <= self.high and self._is_on_step(value)

    def nearest(self, value: float) -> Value | None:
        """Return what a parameter within these bounds takes for `value`, or None if that is not within.

        Steps are rounded to, a whole number must be one, a choice must name it.
        """
        if self.kind in ("float", "int") and self.low is not None and self.high is not None:
            if not self.low <= value <= self.high:
                return None
            if self.step is not None:
                value = min(self.low + round((value - self.low) / self.step) * self.step, self.high)
            if self.kind == "int":
                return int(value) if float(value).is_integer() else None
            return value
        if self.kind == "choice" and all(type(choice) in (int, float) for choice in self.choices):
            return next((choice for choice in self.choices if choice == value), None)
        return None

    def __str__(self) -> str:
        if self.kind == "bool":
            return "bool"
        if self.kind == "choice":
            return "{" + ", ".join(_text(choice) for choice in self.choices) + "}"
        if self.kind == "same":
            return f"={self.value}"
        if self.kind == "fixed":
            # Quotes tell a word that is the value from the name of a block.
            value = self.value
            return f"={json.dumps(value, ensure_ascii=False) if isinstance(value, str) else _text(value)}"
        text = f"{_number(self.low)}..{_number(self.high)}"
        text += " int" if self.kind == "int" else ""
        text += " log" if self.log else ""
        return text + (f" step {_number(self.step)}" if self.step is not None else "")


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
        choices = _choices(text[1:-1])
        return None if choices is None else Bound("choice", choices=choices)
    if text.startswith("="):
        word = text[1:].strip()
        value = _value(word)
        if value is None or word == "":
            return None
        # Quotes make a word a value; without them it is a name.
        bound = Bound("same" if value == word and isinstance(value, str) else "fixed", value=value)
        return bound if bound.kind == "fixed" or _is_name(word) else None
    if re.fullmatch(_NUMBER, text):
        return Bound("fixed", value=_value(text))
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    rest = match["rest"].casefold().split()
    if any(rest.count(word) > 1 for word in ("log", "int", "step")):
        return None
    step = float(rest[rest.index("step") + 1]) if "step" in rest else None
    kind: Literal["int", "float"] = "int" if "int" in rest else "float"
    return Bound(kind, float(match["low"]), float(match["high"]), step, "log" in rest)


def _choices(text: str) -> tuple[Value, ...] | None:
    """Split at commas outside quotes; None if something between them is no value."""
    if not text.strip():
        return ()
    choices: list[Value] = []
    position = 0
    while True:
        match = _ITEM.match(text, position)
        value = _value(match[1]) if match and match[1] else None
        if match is None or value is None:
            return None
        choices.append(value)
        position = match.end()
        if not match[0].endswith(","):
            return tuple(choices)


def _value(text: str) -> Value | None:
    """Read one value: a number, true or false, or text, quoted where it would read as something else."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return None
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    if text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    if re.fullmatch(r"[+-]?\d{1,300}", text):
        return int(text)
    return float(text) if re.fullmatch(_NUMBER, text) else text


def _text(value: Value | None) -> str:
    """Write `value` so that `_value` reads it back."""
    if isinstance(value, str):
        plain = re.fullmatch(r"[^\W\d][\w .+-]*(?<! )", value) and value.casefold() not in ("true", "false")
        return value if plain else json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _number(value: float | None) -> str:
    """Write an end of a range, which is read as a float anyway: 1 rather than 1.0."""
    return repr(value).removesuffix(".0")


def _is_name(value: Value | None) -> bool:
    """Tell whether ``=value`` reads as a tie."""
    return isinstance(value, str) and bool(_NAME.fullmatch(value)) and _value(value) == value


def _is_whole(value: float) -> bool:
    return float(value).is_integer() and abs(value) < _LARGEST_INT


def _is_usable(value: Value | None) -> bool:
    try:
        return not isinstance(value, int | float) or math.isfinite(value)
    except OverflowError:
        return False
