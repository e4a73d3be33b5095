"""Pictures for raters who do not exist: of the demo checkpoints, by many merges, prompts and seeds."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.demo_pair import default_plan
from lib_optim.hosts.standalone import StandaloneHost
from lib_optim.plan.payload import jobs_of
from lib_optim.run.manager import RunManager
from lib_optim.run.saving import open_merger
from tools.demo_pair.scenes import all_scenes, caption

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PER_MERGE", "make_images"]

PER_MERGE = 6


def make_images(work: Path, count: int, seed: int) -> list[Image.Image]:
    """Generate `count` pictures as a run would.

    Each of `count` / `PER_MERGE` merges has weights of its own, uniform in what the program's first plan searches, and
    each picture a prompt of its own, drawn from all that the demo checkpoints know, and a seed of its own.

    Args:
        work: A folder for the checkpoints.
        count: How many.
        seed: Draws weights, prompts and seeds.
    """
    host = StandaloneHost(work)
    checked = RunManager(host, work / "scorers").check(default_plan(RunManager(host, work / "scorers"), seed))
    assert checked.resolved is not None, checked.problems
    resolved, draws, scenes = checked.resolved, random.Random(f"taste {seed}"), all_scenes()
    like = resolved.plan.payloads[0]
    merger, made = open_merger(resolved, host), []
    with host.exclusive():
        host.load(resolved.base)
        session = host.open_session(resolved.base, resolved.components)
        while len(made) < count:
            values = {parameter.name: draws.random() for parameter in resolved.space.parameters}
            payloads = tuple(
                replace(
                    like, name=f"p{i}", prompt=caption(draws.choice(scenes)), seed=draws.randrange(2**32), batch_size=1,
                    n_iter=1,
                )
                for i in range(min(PER_MERGE, count - len(made)))
            )  # fmt: skip
            with host.job("benchmark"), session.live_weights() as live:
                merger.write(values, live, lambda: False)
                made += [host.generate(job, {}).image for job in jobs_of(payloads)]
        session.close()
    merger.close()
    return made
