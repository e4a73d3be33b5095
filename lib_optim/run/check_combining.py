"""What can be said before a run of who judges which payload, and of how scores are combined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from lib_optim.plan.combining import combining_problems
from lib_optim.plan.errors import Problem
from lib_optim.plan.nearest import did_you_mean
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import RunPlan
from lib_optim.plan.scorers import ScorerSpec

__all__ = ["judging_problems", "unjudged"]


def judging_problems(plan: RunPlan) -> Iterator[Problem]:
    """Yield what is wrong with the first pass of `plan`: judges without a payload, payloads without a judge."""
    yield from combining_problems(plan.combining)
    counting = [payload for payload in plan.payloads if payload.score_weight > 0]
    names = [payload.name for payload in plan.payloads]
    for i, spec in enumerate(plan.scorers):
        where = f"scorers[{i}].payloads"
        for pattern in spec.payloads:
            if not any(fnmatchcase(name.casefold(), pattern.casefold()) for name in names):
                yield Problem(
                    where,
                    f"The judge {spec.key} shall judge the payload '{pattern}', which is none of this run."
                    f"{did_you_mean(pattern, names)}",
                )
        seen = [payload for payload in plan.payloads if spec.judges(payload.name)]
        if counting and seen and not any(payload.score_weight > 0 for payload in seen):
            yield Problem(where, f"The judge {spec.key} judges no payload that counts; name one, or none for all.")
    for name in unjudged(counting, plan.scorers):
        yield Problem(
            "scorers",
            f"No judge looks at the payload '{name}', which counts; give it one, or set its score weight to 0.",
        )


def unjudged(payloads: Sequence[Payload], scorers: Sequence[ScorerSpec]) -> list[str]:
    """Return the names of those of `payloads` that none of the judges that decide judges."""
    deciding = [spec for spec in scorers if spec.weight > 0]
    names = [payload.name for payload in payloads]
    return [name for name in names if deciding and not any(spec.judges(name) for spec in deciding)]
