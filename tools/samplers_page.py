"""Writes docs/samplers.md from the registry of samplers: ``python -m tools.samplers_page``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib_optim.search.sampler_row import SamplerOption, SamplerRow
from lib_optim.search.samplers import sampler_rows

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parent.parent / "docs" / "samplers.md"
_HEAD = """# Samplers and their options

Every search that the form and a plan file (`sampler.id`, `sampler.options`) know. Which one to take: [How Optim
searches](search.md#which-sampler-when). In brackets: the default. Those of other packages need the package; the form
says what to install. (Written from the registry by `python -m tools.samplers_page`.)
"""


def page() -> str:
    """Return the page: a table per family."""
    families: dict[str, list[SamplerRow]] = {}
    for row in sampler_rows():
        families.setdefault(row.family, []).append(row)
    parts = [_HEAD]
    for family, rows in families.items():
        more = {True: "; for several goals, too", False: ""}
        lines = [f"| `{row.id}` | **{row.title}.** {row.note}{more[row.several]} | {_options(row)} |" for row in rows]
        parts.append(
            "\n".join([f"## {family}\n", "| sampler | what it is | options |", "|---|---|---|", *lines]) + "\n"
        )
    return "\n".join(parts)


def _options(row: SamplerRow) -> str:
    return "<br>".join(f"`{o.name}` ({_default(o)}): {o.help}" for o in row.options) or "none"


def _default(option: SamplerOption) -> str:
    value: Any = option.default
    text = ("on" if value else "off") if option.type is bool else f"{value:g}" if option.type is float else str(value)
    others = [choice for choice in option.choices if choice != value]
    return f"{text}; or {', '.join(others)}" if others else text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
