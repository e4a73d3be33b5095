"""What describes a sampler to the plan, the form and the search: rows of data."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_optim.plan.space import Space

if TYPE_CHECKING:
    import optuna

__all__ = ["Package", "SamplerOption", "SamplerRow"]


@dataclass(frozen=True)
class SamplerOption:
    """One option: its `type`, default, least and greatest value (None for switches and words), and one line of help.

    `type` is ``bool``, ``int``, ``float`` or, with `choices`, ``str``. `title` is what the form calls it.
    """

    name: str
    type: type
    default: Any
    low: float | None
    high: float | None
    help: str
    title: str = ""
    choices: tuple[str, ...] = ()

    def problem(self, value: Any) -> str | None:
        """Return why `value` cannot be used, as the end of a sentence that begins with the option's name."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number if self.type is float else type(value) is self.type):
            return f"must be of type {self.type.__name__}, not {value!r}."
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}, not {value!r}."
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            return f"must lie between {self.low:g} and {self.high:g}, not {value}."
        return None


@dataclass(frozen=True)
class Package:
    """A package that a sampler needs.

    Attributes:
        module: What is imported.
        install: What to give to ``pip install``.
        file: A file inside the module that versions which are too old lack; empty if any version will do.
    """

    module: str
    install: str
    file: str = ""

    @property
    def missing(self) -> bool:
        """Whether it is not installed. Imports nothing."""
        if self.module in sys.modules:  # one that replaces itself by a lazy module has no spec any more
            return False
        try:
            spec = importlib.util.find_spec(self.module)
        except (ImportError, ValueError):
            return True
        return spec is None or (spec.origin is not None and not (Path(spec.origin).parent / self.file).exists())


@dataclass(frozen=True)
class SamplerRow:
    """One sampler.

    Attributes:
        id: By which plans name it.
        title: As the form shows it.
        note: One line on what it is, with its source.
        options: All that can be set.
        build: Takes the seed of one suggestion and all options; imports what it needs.
        needs: Packages without which it cannot be built.
        refuses: Returns why it cannot search a space within a number of trials (a sentence), or None.
        family: Heading under which the form lists it.
        several: Whether it can search for several objectives at once.
    """

    id: str
    title: str
    note: str
    options: tuple[SamplerOption, ...]
    build: Callable[[int, Mapping[str, Any]], optuna.samplers.BaseSampler]
    needs: tuple[Package, ...] = ()
    refuses: Callable[[Space, Mapping[str, Any], int], str | None] = lambda space, options, trials: None
    family: str = "Optuna"
    several: bool = False

    @property
    def missing(self) -> str:
        """What to install, as a sentence; empty if nothing is missing."""
        absent = [package.install for package in self.needs if package.missing]
        if not absent:
            return ""
        names = " ".join(absent)
        return f"The search '{self.title}' needs {' and '.join(absent)}; install with: pip install {names}"

    def values(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return every option's value: as given, else the default."""
        return {option.name: options.get(option.name, option.default) for option in self.options}
