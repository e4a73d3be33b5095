"""What can be said of the verification of the winner before it begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import Problem
from lib_optim.plan.passes import last_pass, verification_of
from lib_optim.plan.payload import jobs_of
from lib_optim.plan.run_plan import RunPlan
from lib_optim.run.check_combining import unjudged
from lib_optim.run.check_payload import payload_problems
from lib_optim.scoring.check import scorers_problems

__all__ = ["MAX_FINALISTS", "verify_problems"]

MAX_FINALISTS = 20


def verify_problems(plan: RunPlan, host: Host, scorers_dir: Path, countable: bool) -> Iterator[Problem]:
    """Yield what is wrong with the verification of `plan`; `countable`: its payloads have no problem."""
    verify = plan.verify
    if not 0 <= verify.finalists <= MAX_FINALISTS:
        yield Problem(
            "verify.finalists",
            f"The number of finalists must lie between 0 (none is verified) and {MAX_FINALISTS}, not "
            f"{verify.finalists}.",
        )
        return
    if not verify.finalists:
        if verify.payloads or verify.scorers:
            yield Problem(
                "verify.finalists",
                "Payloads or judges are held out, but there is no finalist to show them; verify one, or remove them.",
            )
        return
    held_out = list(_held_out(plan, host))
    yield from held_out
    if countable and not held_out:
        yield from _judges(plan, scorers_dir)


def _held_out(plan: RunPlan, host: Host) -> Iterator[Problem]:
    taken = {payload.name for payload in last_pass(plan).payloads}
    for i, payload in enumerate(plan.verify.payloads):
        where = f"verify.payloads[{i}]"
        if payload.name in taken:
            yield Problem(
                where,
                f"The payload '{payload.name}' is held out and searched with; choose it in one of the two places only.",
            )
        taken.add(payload.name)
        yield from payload_problems(payload, where, host)


def _judges(plan: RunPlan, scorers_dir: Path) -> Iterator[Problem]:
    last = last_pass(plan)
    searching = {spec.id for spec in last.scorers}
    for i, spec in enumerate(plan.verify.scorers):
        if spec.id in searching:
            yield Problem(
                f"verify.scorers[{i}]",
                f"The judge '{spec.id}' is held out and searched with; a held-out judge must be another one.",
            )
        if spec.axis:
            yield Problem(
                f"verify.scorers[{i}].axis",
                f"The held-out judge '{spec.id}' decides nothing, so it belongs to no goal; clear that.",
            )
    for name in unjudged([payload for payload in plan.verify.payloads if payload.score_weight > 0], last.scorers):
        yield Problem(
            "verify.payloads",
            f"No judge of the search looks at the held-out payload '{name}'; let one judge it by name, or remove it.",
        )
    jobs = jobs_of(verification_of(last, plan).payloads)
    known = list(scorers_problems(last.scorers, scorers_dir, jobs_of(last.payloads)))
    for problem in scorers_problems(last.scorers, scorers_dir, jobs):
        if problem not in known:
            what = f"On the fresh seeds of the verification: {problem.sentence.rstrip('.')}"
            yield Problem(f"verify.{problem.where}", f"{what}; mend that, or set the number of finalists to 0.")
    for problem in scorers_problems(plan.verify.scorers, scorers_dir, jobs) if plan.verify.scorers else ():
        yield Problem(f"verify.{problem.where}", problem.sentence)
