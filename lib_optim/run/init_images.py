"""The init images of a plan: found by name when it is made, kept by what they show, and taken along with the run."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from lib_optim.hosts.base import Host
from lib_optim.hosts.init_images import kept_file, picture_digest, plain_picture
from lib_optim.plan.errors import PlanError, Problem, RunError, StoreError
from lib_optim.plan.payload import Payload
from lib_optim.plan.run_plan import RunPlan
from lib_optim.scoring.picture_text import opened_picture

__all__ = ["PAYLOADS_FOLDER", "RUN_FOLDER", "keep_with_run", "take_in", "with_init_images"]

PAYLOADS_FOLDER = "payloads"
"""Below the host's `HostPaths.data`: the user's payload files, and the pictures that they name."""
RUN_FOLDER = "init_images"
"""Below a run's folder."""


def with_init_images(plan: RunPlan, host: Host) -> RunPlan:
    """Return `plan` with the digest of every init image, which is kept below the host's data from now on.

    Raises:
        PlanError: One is missing, or no picture; a sentence each.
    """
    problems: list[Problem] = []

    def looked_up(payloads: tuple[Payload, ...], where: str) -> tuple[Payload, ...]:
        return tuple(_known(payload, f"{where}[{i}]", host, problems) for i, payload in enumerate(payloads))

    first = looked_up(plan.payloads, "payloads")
    verify = dataclasses.replace(plan.verify, payloads=looked_up(plan.verify.payloads, "verify.payloads"))
    passes = tuple(
        later
        if later.payloads is None
        else dataclasses.replace(later, payloads=looked_up(later.payloads, f"passes[{i}].payloads"))
        for i, later in enumerate(plan.passes)
    )
    if problems:
        raise PlanError(problems)
    return dataclasses.replace(plan, payloads=first, verify=verify, passes=passes)


def keep_with_run(plan: RunPlan, host: Host, folder: Path) -> None:
    """Put the init images of `plan` into the run's `folder` too: whoever gets the run gets them.

    Raises:
        StoreError: They cannot be written.
    """
    parts = [plan.payloads, plan.verify.payloads, *(later.payloads or () for later in plan.passes)]
    digests = {payload.init_digest for part in parts for payload in part if payload.init_digest}
    _copy((kept_file(host.paths().data, digest) for digest in sorted(digests)), folder / RUN_FOLDER)


def take_in(folder: Path, host: Host) -> None:
    """Make the init images of the run in `folder`, which may come from another machine, known to `host`.

    Raises:
        StoreError: They cannot be written.
    """
    own = folder / RUN_FOLDER
    _copy(sorted(own.glob("*.png")) if own.is_dir() else (), kept_file(host.paths().data, "0" * 32).parent)


def _known(payload: Payload, where: str, host: Host, problems: list[Problem]) -> Payload:
    if not payload.init_image or any(p.where.endswith((".init_image", ".init_digest")) for p in payload.problems("")):
        return payload  # what is wrong with the name is told where the payload is looked at
    data = host.paths().data
    if payload.init_digest and kept_file(data, payload.init_digest).is_file():
        return payload
    path = data / PAYLOADS_FOLDER / payload.init_image
    said = f"The init image {payload.init_image} of payload '{payload.name}'"
    try:
        digest = _kept(path, data)
    except FileNotFoundError:
        problems.append(Problem(f"{where}.init_image", f"{said} is not in {path.parent}; put it there."))
        return payload
    except (OSError, RunError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        problems.append(Problem(f"{where}.init_image", f"{said} cannot be used: {reason}; choose another picture."))
        return payload
    if payload.init_digest not in ("", digest):
        sentence = f"{said} shows something else than when the run began; put that picture back."
        problems.append(Problem(f"{where}.init_image", sentence))
    return dataclasses.replace(payload, init_digest=digest)


def _kept(path: Path, data: Path) -> str:
    """Keep the picture in the file `path` below `data`; return its digest."""
    picture = plain_picture(opened_picture(path.name, path.read_bytes()))
    digest = picture_digest(picture)
    kept = kept_file(data, digest)
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"{kept.name}.{os.getpid()}.part")
        picture.save(part, format="PNG")
        part.replace(kept)
    return digest


def _copy(files: Iterable[Path], target: Path) -> None:
    for file in files:
        if (target / file.name).is_file():
            continue
        try:
            target.mkdir(parents=True, exist_ok=True)
            part = target / f"{file.name}.part"
            shutil.copyfile(file, part)
            part.replace(target / file.name)
        except OSError as error:
            raise StoreError(f"The init image {file.name} cannot be copied: {error.strerror or error}.") from error
