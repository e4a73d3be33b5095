"""What a self-test found, and the text of it that a user can paste into an issue."""

from __future__ import annotations

import platform
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lib_optim.plan.noun import Noun

__all__ = ["Outcome", "SelftestReport", "Status", "anonymous", "report_text"]

Status = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Outcome(Noun):
    """The result of one row.

    Attributes:
        number: Of the statement, 1 to 30.
        part: Which clause of the statement this row shows; empty for the whole of it.
        statement: The statement.
        status: ``skipped`` for whatever could not be run here; never ``passed`` then.
        detail: Why it failed or was skipped, or what was seen. Names no path and no prompt.
        seconds: Wall time.
    """

    number: int
    part: str
    statement: str
    status: Status
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class SelftestReport(Noun):
    """All outcomes, and where they were found.

    Attributes:
        host: The host's id.
        host_title: As shown.
        host_version: As the host writes it.
        optim: Version of Optim.
        python: Version of Python.
        torch: Version of torch.
        system: Operating system and processor type.
        device: Where the UNet lies, and its dtype, e.g. ``cuda:0 float16``.
        model: What was loaded: architecture and size, never its name.
        outcomes: One per row, in order.
        seconds: Wall time of everything.
    """

    host: str
    host_title: str
    host_version: str
    optim: str
    python: str
    torch: str
    system: str
    device: str
    model: str
    outcomes: tuple[Outcome, ...]
    seconds: float = 0.0

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The rows that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    def of(self, number: int, part: str | None = None) -> tuple[Outcome, ...]:
        """Return the outcomes of statement `number`, or of one `part` of it."""
        return tuple(o for o in self.outcomes if o.number == number and part in (None, o.part))


def report_text(report: SelftestReport) -> str:
    """Return `report` as Markdown-safe text of about one line per row, without paths, prompts or model names."""
    counts = Counter(outcome.status for outcome in report.outcomes)
    summary = ", ".join(f"{counts[status]} {status}" for status in get_args(Status))
    head = [
        f"Optim {report.optim} self-test: {summary}, {report.seconds:.0f} s",
        f"Host: {report.host_title} ({report.host}) {report.host_version}",
        f"Python {report.python}, torch {report.torch}, {report.system}",
        f"Model: {report.model}; weights on {report.device}",
        "",
    ]
    rows = []
    for o in report.outcomes:
        part = f" [{o.part}]" if o.part else ""
        rows.append(f"{o.number:>2} {o.status:<7} {o.seconds:5.1f} s  {o.statement}{part}")
        if o.detail:
            rows.append(f"              {o.detail}")
    return anonymous("\n".join([*head, *rows])) + "\n"


def anonymous(text: str) -> str:
    """Return `text` with folders cut from paths, and the user's name and this machine's name taken out."""
    text = re.sub(r"(?:(?<![\w/])[A-Za-z]:)?(?:(?<![\w.\])])[\\/])(?:[^\\/\s'\":*?<>|]+[\\/])+", "…/", text)
    for private in (Path.home().name, platform.node()):
        if len(private) > 3:
            text = re.sub(rf"(?<!\w){re.escape(private)}(?!\w)", "…", text)
    return text
