"""A run as one web page that needs nothing else: ``report.html``, for keeping and for showing to somebody.

Everything is in the file, pictures too; it loads nothing and runs nothing (its own policy forbids it), so that it may
be opened anywhere. What the user wrote is escaped.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from lib_optim import __version__
from lib_optim.plan.errors import StoreError
from lib_optim.plan.records import ImageRecord, Trial, Verdict
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.choosing import noted_choice
from lib_optim.run.folder import RunFolder, write_atomic
from lib_optim.run.passes import Passes, RunPass
from lib_optim.run.recorded import last_search, winner_of
from lib_optim.run.report_plot import score_plot
from lib_optim.run.results import read_image
from lib_optim.run.store import Store

__all__ = ["POLICY", "report_html", "write_report"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser lets the page do; for whoever serves it."""
_TOP = 5  # trials beside the winner whose pictures are shown
_SIDE = 384  # pixels of the longer side of a picture
_LISTED = 200  # trials in the table
_STATES = (("complete", "scored"), ("failed", "failed"), ("skipped", "skipped"))

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1080px; padding: 0 1em; }
body { color: #1f2937; background: #fff; }
h1 { font-size: 1.5em; margin-bottom: 0; }
h2 { font-size: 1.15em; margin-top: 2em; }
.note, th, figcaption { color: #6b7280; }
.note, figcaption { font-size: .9em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: 3px 10px 3px 0; text-align: left; vertical-align: top; border-bottom: 1px solid #e5e7eb; }
th { font-weight: 400; }
.wide { overflow-x: auto; }
.pictures { display: flex; flex-wrap: wrap; gap: 10px; }
figure { margin: 0; max-width: 384px; }
figure img { display: block; max-width: 100%; border-radius: 6px; }
.values { columns: 5 150px; margin-top: 1em; }
.values div { display: flex; justify-content: space-between; gap: 8px; break-inside: avoid; }
svg { width: 100%; height: auto; }
@media (prefers-color-scheme: dark) {
  body { color: #e5e7eb; background: #111827; }
  td, th { border-color: #374151; }
}
"""


@dataclasses.dataclass(frozen=True)
class _Record:
    plan: RunPlan
    passes: tuple[RunPass, ...]
    trials: tuple[Trial, ...]
    images: Mapping[int, Sequence[ImageRecord]]
    verdict: Verdict | None
    winner: Trial | None

    def label(self, trial: Trial) -> str:
        """The pass of a trial, for tables."""
        return next((run_pass.label for run_pass in self.passes if run_pass.id == trial.pass_id), "")

    @property
    def searched(self) -> list[Trial]:
        """The trials of searches, by number."""
        searches = {run_pass.id for run_pass in self.passes if run_pass.searches}
        return [trial for trial in self.trials if trial.pass_id in searches]


def write_report(folder: RunFolder) -> Path:
    """Write ``report.html`` of a run into its folder; return its path.

    Raises:
        StoreError: Plan or record cannot be read, or the file cannot be written.
    """
    path = folder.path / "report.html"
    write_atomic(path, report_html(folder))
    return path


def report_html(folder: RunFolder) -> str:
    """Return the page. A picture that is gone is left out; models need not be there any more.

    Raises:
        StoreError: Plan or record cannot be read.
    """
    run = _read(folder)
    title = run.plan.name or folder.name
    body = "\n".join(
        [
            f"<h1>{escape(title)}</h1>",
            *_facts(folder, run),
            *_winner(folder, run),
            *_curve(run),
            *_others(folder, run),
            *_table(run),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} – Optim</title><style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _read(folder: RunFolder) -> _Record:
    plan = folder.read_plan()
    with contextlib.closing(Store(folder.record())) as store:
        trials = tuple(store.trials())
        passes = Passes(plan, store).all if trials else ()
        images: dict[int, list[ImageRecord]] = {}
        for image in store.images():
            images.setdefault(image.trial, []).append(image)
        verdicts, chosen = store.verdicts(), noted_choice(store)
    verdict = Verdict.from_json(json.loads(verdicts[-1])) if verdicts else None
    last = last_search(trials, passes)
    unchosen, kept = winner_of((t for t in trials if last is not None and t.pass_id == last.id), verdict, chosen)
    winner = next((trial for trial in trials if trial.number == (unchosen if kept is None else kept)), None)
    return _Record(plan, passes, trials, images, verdict, winner)


def _facts(folder: RunFolder, run: _Record) -> Iterator[str]:
    plan = run.plan
    ended = [trial.finished for trial in run.trials if trial.finished]
    states: list[str] = [trial.state for trial in run.trials]
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.trials[0].started)) if run.trials else "not begun"
    made = sum(len(images) for images in run.images.values())
    yield f'<p class="note">{escape(folder.name)} · {when} · Optim {escape(__version__)}</p>'
    rows = [
        *((f"Model {chr(65 + i)}", f"{Path(m.path).name} {m.sha256[:10]}") for i, m in enumerate(plan.models)),
        ("Method", plan.method),
        ("Judges", ", ".join(f"{spec.key} × {spec.weight:g}" for spec in plan.scorers)),
        ("Payloads", ", ".join(payload.name for payload in plan.payloads)),
        ("Search", plan.sampler.id),
        ("Trials", ", ".join(f"{states.count(state)} {word}" for state, word in _STATES)),
        ("Images", str(made)),
        ("Time", _duration(max(ended) - run.trials[0].started) if ended else "–"),
    ]  # fmt: skip
    yield _rows(rows)


def _winner(folder: RunFolder, run: _Record) -> Iterator[str]:
    best = run.winner
    if best is None:
        yield "<p>No trial is scored.</p>"
        return
    yield f"<h2>Winner: trial {best.number}, {best.value:.4g}</h2>"
    yield _pictures(folder, run, best)
    values = "".join(
        f"<div><span>{escape(name)}</span><span>{_value(value)}</span></div>" for name, value in best.values.items()
    )
    yield f'<div class="values">{values}</div>'
    if run.verdict is not None:
        yield "<h2>Verified on fresh seeds</h2>"
        head = ("Trial", "In the search", "Fresh seeds", "Held out", "Together")
        rows = [
            (str(row.trial), f"{row.before:.4g}", _number(row.fresh), _number(row.held_out), f"{row.together:.4g}")
            for row in run.verdict.finalists
        ]
        yield _table_of(head, rows)


def _curve(run: _Record) -> Iterator[str]:
    points = [(trial.number, trial.value) for trial in run.searched if trial.value is not None]
    if len(points) > 1:
        yield "<h2>Score</h2>"
        yield score_plot(points)


def _others(folder: RunFolder, run: _Record) -> Iterator[str]:
    winner = run.winner.number if run.winner is not None else -1
    presets = [trial for trial in run.searched if trial.origin.startswith("preset:")]
    ranked = sorted((t for t in run.searched if t.value is not None), key=lambda t: (-(t.value or 0.0), t.number))
    rest = [trial for trial in ranked if trial not in presets and trial.number != winner][:_TOP]
    for heading, trials in (("What it started from", presets), ("Next best", rest)):
        shown = [(trial, _pictures(folder, run, trial)) for trial in trials]
        if any(pictures for _, pictures in shown):
            yield f"<h2>{heading}</h2>"
            for trial, pictures in shown:
                yield f"<p>Trial {trial.number} · {escape(trial.origin)} · {_number(trial.value)}</p>{pictures}"


def _table(run: _Record) -> Iterator[str]:
    yield "<h2>Trials</h2>"
    listed = run.trials[-_LISTED:]
    if len(listed) < len(run.trials):
        yield f'<p class="note">The last {_LISTED} of {len(run.trials)}; all are in trials.csv.</p>'
    rows = [
        (str(trial.number), run.label(trial), trial.state, _number(trial.value), trial.origin, trial.reason)
        for trial in listed
    ]
    yield f'<div class="wide">{_table_of(("Trial", "Pass", "State", "Value", "From", "Why"), rows)}</div>'


def _pictures(folder: RunFolder, run: _Record, trial: Trial) -> str:
    figures = []
    for image in run.images.get(trial.number, ()):
        with contextlib.suppress(StoreError):
            if not image.skipped:
                caption = f"{escape(image.payload)} · seed {image.seed}"
                figures.append(
                    f'<figure><img alt="" src="{_data(folder, image)}"><figcaption>{caption}</figcaption></figure>'
                )
    return f'<div class="pictures">{"".join(figures)}</div>' if figures else ""


def _data(folder: RunFolder, image: ImageRecord) -> str:
    picture = read_image(folder, image.file)
    picture.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def _rows(rows: Sequence[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows) + "</table>"


def _table_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{lines}</table>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def _duration(seconds: float) -> str:
    minutes = round(max(seconds, 0.0) / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
