"""Which fault at which step does what to a run: one row each. docs/reliability.md is written from these rows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAULTS", "LEFT_OUT", "OUTCOMES", "ROWS", "STEPS", "Row"]

STEPS = (
    "suggest", "recipe", "read", "merge", "write", "verify", "generate", "decode", "score", "store", "tell", "report",
    "save",
)  # fmt: skip
FAULTS = (
    "exception", "hang", "NaN", "out of memory", "CUDA out of memory", "disk full", "permission denied",
    "vanished file", "changed file",
)  # fmt: skip
OUTCOMES = {
    "trial": "the trial fails, the run goes on",
    "pauses": "each trial fails, and after five the run pauses until what is wrong is mended",
    "ends": "the run ends as failed; a resume goes on",
    "ends after": "the trial counts, the run ends as failed; a resume goes on",
    "goes on": "the trial counts, one sentence says what is missing",
    "unharmed": "nothing is lost, nothing needs saying",
}


@dataclass(frozen=True)
class Row:
    """A fault at a step.

    Attributes:
        step, fault: One of `STEPS` and one of `FAULTS`.
        outcome: One of `OUTCOMES`.
        says: What the one sentence contains.
    """

    step: str
    fault: str
    outcome: str
    says: str = ""


_BOOM = "broke on purpose"
_MEMORY = "can't allocate memory"
_CUDA = "CUDA out of memory"
_OWN = "the trace is in the run's log.txt"

ROWS = (
    Row("suggest", "exception", "ends", _OWN),
    Row("suggest", "hang", "ends", _OWN),
    Row("suggest", "out of memory", "ends", _OWN),
    Row("recipe", "exception", "ends", _OWN),
    Row("recipe", "hang", "ends", _OWN),
    Row("recipe", "out of memory", "ends", _OWN),
    Row("read", "exception", "trial", _BOOM),
    Row("read", "hang", "trial", "took too long"),
    Row("read", "NaN", "pauses", "NaN"),
    Row("read", "out of memory", "trial", _MEMORY),
    Row("read", "permission denied", "trial", "Permission denied"),
    Row("merge", "exception", "trial", _BOOM),
    Row("merge", "hang", "trial", "took too long"),
    Row("merge", "NaN", "trial", "NaN"),
    Row("merge", "out of memory", "trial", _MEMORY),
    Row("merge", "CUDA out of memory", "trial", _CUDA),
    Row("merge", "vanished file", "pauses", "cannot be read"),
    Row("merge", "changed file", "pauses", "was changed while it was in use"),
    Row("write", "exception", "trial", _BOOM),
    Row("write", "hang", "trial", "took too long"),
    Row("write", "out of memory", "trial", _MEMORY),
    Row("write", "CUDA out of memory", "trial", _CUDA),
    Row("verify", "exception", "trial", _BOOM),
    Row("verify", "hang", "trial", "took too long"),
    Row("verify", "out of memory", "trial", _MEMORY),
    Row("verify", "CUDA out of memory", "trial", _CUDA),
    Row("generate", "exception", "trial", _BOOM),
    Row("generate", "hang", "trial", "took too long"),
    Row("generate", "out of memory", "trial", _MEMORY),
    Row("generate", "CUDA out of memory", "trial", _CUDA),
    Row("decode", "exception", "trial", _BOOM),
    Row("decode", "hang", "trial", "took too long"),
    Row("decode", "NaN", "trial", "non-finite pixels"),
    Row("decode", "out of memory", "trial", _MEMORY),
    Row("decode", "CUDA out of memory", "trial", _CUDA),
    Row("score", "exception", "trial", _BOOM),
    Row("score", "hang", "trial", "took too long"),
    Row("score", "NaN", "trial", "no score"),
    Row("score", "out of memory", "trial", _MEMORY),
    Row("score", "CUDA out of memory", "trial", _CUDA),
    Row("store", "exception", "ends", "cannot be written: disk I/O error"),
    Row("store", "hang", "ends", "another program holds it"),
    Row("store", "disk full", "ends", "is the disk full?"),
    Row("store", "permission denied", "ends", "readonly database"),
    Row("tell", "exception", "ends after", _OWN),
    Row("tell", "hang", "ends after", _OWN),
    Row("tell", "out of memory", "ends after", _OWN),
    Row("report", "exception", "goes on", _OWN),
    Row("report", "hang", "goes on", _OWN),
    Row("report", "out of memory", "goes on", _OWN),
    Row("report", "disk full", "goes on", "No space left"),
    Row("report", "permission denied", "goes on", "Permission denied"),
    Row("report", "vanished file", "unharmed"),
    Row("save", "exception", "goes on", _OWN),
    Row("save", "hang", "goes on", "took too long"),
    Row("save", "out of memory", "goes on", _OWN),
    Row("save", "CUDA out of memory", "goes on", _OWN),
    Row("save", "disk full", "goes on", "No space left"),
    Row("save", "permission denied", "goes on", "Permission denied"),
    Row("save", "vanished file", "goes on", "cannot be read"),
    Row("save", "changed file", "goes on", "was changed while it was in use"),
)

_NO_FILE = "reads and writes no file"
_NO_GPU = "uses no accelerator"
LEFT_OUT: dict[tuple[str, str], str] = {
    **{
        (step, fault): _NO_FILE
        for step in ("suggest", "recipe", "write", "verify", "generate", "decode", "tell")
        for fault in ("disk full", "permission denied", "vanished file", "changed file")
    },
    **{(step, "CUDA out of memory"): _NO_GPU for step in ("suggest", "recipe", "read", "store", "tell", "report")},
    ("suggest", "NaN"): "a sampler's numbers are cut to the bounds; NaN is in none",
    ("recipe", "NaN"): "is text",
    ("read", "disk full"): "writes nothing",
    ("read", "vanished file"): "a mapped file stays; it is seen before the next merge (merge, vanished file)",
    ("read", "changed file"): "as merge, changed file",
    ("merge", "disk full"): "writes nothing",
    ("merge", "permission denied"): "as read, permission denied",
    ("write", "NaN"): "as merge, NaN: seen before it is written",
    ("verify", "NaN"): "compares bits",
    ("generate", "NaN"): "as decode, NaN",
    ("score", "disk full"): "writes nothing; see store",
    ("score", "permission denied"): "is given the picture, not its file",
    ("score", "vanished file"): "is given the picture, not its file",
    ("score", "changed file"): "is given the picture, not its file",
    ("store", "NaN"): "what is no number never gets there (score, NaN)",
    ("store", "out of memory"): "as store, exception",
    ("store", "vanished file"): "tests/run/test_resume.py: a record that is gone is named at the resume",
    ("store", "changed file"): "tests/run/test_resume.py: a damaged record is named at the resume",
    ("tell", "NaN"): "what is no number never gets there (score, NaN)",
    ("report", "NaN"): "as store, NaN",
    ("report", "changed file"): "a picture that cannot be read is left out, as report, vanished file",
    ("save", "NaN"): "as merge, NaN",
}
"""The other combinations, and why there is no row."""
