"""Writes the tables of docs/scorers.md from the registry of scorers: ``python -m tools.scorers_page``."""

from __future__ import annotations

import re
from pathlib import Path

from lib_optim.scoring import registry
from lib_optim.scoring.base import OptionRow, ScorerRow, WeightFile
from lib_optim.scoring.user_scorers import USER_PREFIX

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parent.parent / "docs" / "scorers.md"
_MB = 10**6


def page(text: str) -> str:
    """Return the page with its tables written anew; each stands between ``<!-- name -->`` and ``<!-- end -->``."""
    tables = {"scorers": _scorers(), "files": _files(), "options": _options(), "typical": _typical()}

    def put(found: re.Match[str]) -> str:
        return f"<!-- {found[1]} -->\n{tables[found[1]]}\n<!-- end -->"

    return re.sub(r"<!-- (scorers|files|options|typical) -->\n.*?<!-- end -->", put, text, flags=re.DOTALL)


def scorer_rows() -> list[ScorerRow]:
    """Return the rows of the program, without those of the user."""
    return [row for row in registry.scorer_rows() if not row.id.startswith(USER_PREFIX)]


def _table(titles: str, lines: list[list[str]]) -> str:
    head = f"| {titles} |\n|{'---|' * len(titles.split(' | '))}"
    return "\n".join([head, *("| " + " | ".join(cells) + " |" for cells in lines)])


def _scorers() -> str:
    lines = [
        [f"`{r.id}`", f"**{r.title}.** {r.measures}", r.fooled_by, _range(r), _size(r.memory), r.licence]
        for r in scorer_rows()
    ]
    return _table("id | what it rewards | what fools it | raw score | memory | licence of the weights", lines)


def _files() -> str:
    lines = [
        [
            f"`{row.id}`",
            " or ".join(f"`{name}`" for name in (file.name, *file.instead)),
            _size(file.bytes),
            f"`{file.sha256[:12]}…`" if file.sha256 else "–",
            f"[{_place(file)}]({file.url})",
        ]
        for row in scorer_rows()
        for file in row.weights
    ]
    return _table("scorer | file | size | SHA-256 | where from", lines)


def _options() -> str:
    lines = [[f"`{row.id}`", "<br>".join(map(_option, row.options))] for row in scorer_rows() if row.options]
    return _table("scorer | options", lines)


def _typical() -> str:
    return _table(
        "id | typical bad | typical good", [[f"`{r.id}`", *(f"{v:g}" for v in r.typical)] for r in scorer_rows()]
    )


def _range(row: ScorerRow) -> str:
    return row.raw_range or f"{row.typical[0]:g} … {row.typical[1]:g}"


def _size(size: int) -> str:
    if size >= 1000 * _MB:
        return f"{size / 1000 / _MB:.1f} GB"
    return f"{size / _MB:,.0f} MB" if size >= _MB else f"{size / 1000:,.0f} kB" if size else "–"


def _place(file: WeightFile) -> str:
    parts = file.url.removeprefix("https://").split("/")
    return "/".join(parts[:3])


def _option(option: OptionRow) -> str:
    default = f" ({option.default})" if option.default not in ("", None, False) else ""
    others = [choice for choice in option.choices if choice != option.default]
    title = option.title.replace("<", "&lt;")
    return f"`{option.name}`{default}: {title}{'; or ' + ', '.join(others) if others else ''}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
