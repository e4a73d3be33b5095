"""A merge written into the live model, and the proof that it is there: what a trial and a try have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lib_optim.plan.bounds import Value
from lib_optim.plan.errors import MergeError

if TYPE_CHECKING:
    from lib_optim.merging.merger import Merger, MergeReport
    from lib_optim.run.hosting import Turn

__all__ = ["refuse_changed", "swap"]


def swap(
    merger: Merger, values: Mapping[str, Value], turn: Turn, cancelled: Callable[[], bool] | None = None
) -> MergeReport:
    """Write the merge of `values` into the live model of `turn`, where only what is new in it is written.

    Raises:
        MergeError: Not every tensor was written, or one that was to stay has changed.
        OptimError: As `Merger.write`.
    """
    report = merger.write(values, turn.live, cancelled)
    if report.refused:
        raise MergeError(f"The host refused {len(report.refused)} tensors of the merge, such as {report.refused[0]}.")
    missing = len(merger.keys) - len(report.written) - len(report.kept)
    if missing:
        raise MergeError(f"{missing} tensors of the merge were not written; the trial would not show its recipe.")
    # What was not written again must be what the trial before left there.
    refuse_changed({key: turn.digests[key] for key in report.kept if key in turn.digests}, report.digests)
    turn.digests = dict(report.digests)
    return report


def refuse_changed(expected: Mapping[str, int], now: Mapping[str, int]) -> None:
    """Raise `MergeError` if a tensor no longer has the digest that it was left with."""
    changed = [key for key, digest in expected.items() if now.get(key) != digest]
    if changed:
        raise MergeError(
            f"{len(changed)} tensors (such as {changed[0]}) changed while images were made; another extension "
            "or a LoRA wrote to the model."
        )
