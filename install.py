"""Installs what Optim needs inside a WebUI. The WebUI runs this file at every start, before its own imports.

Only what is missing is installed, and pip may add packages but never change one: every installed version is handed
to it as a constraint. sd-mecha goes without its dependency list, which asks for another tqdm than Forge pins; what
it really needs, every WebUI has. When all is there, this costs a few hundredths of a second and says nothing.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROWS", "Row", "main"]


@dataclass(frozen=True)
class Row:
    """One package.

    Attributes:
        package: Its name for pip.
        module: Its name for ``import``.
        version: Version rule, e.g. ``>=5,<6``; empty for any.
        dependencies: Whether pip may add what the package asks for.
        why: What Optim uses it for.
        also: Modules without which it does not work; pip adds them with it.
    """

    package: str
    module: str
    version: str
    dependencies: bool
    why: str
    also: tuple[str, ...] = ()


ROWS = (
    Row("sd-mecha", "sd_mecha", "==1.1.8", False, "merges the checkpoints"),
    Row("fuzzywuzzy", "fuzzywuzzy", "==0.18.0", False, "sd-mecha imports it"),
    Row("scipy", "scipy", "", True, "sd-mecha and the Gaussian process compute with it"),
    Row("PyYAML", "yaml", "", True, "reads the block maps"),
    Row("cmaes", "cmaes", ">=0.12,<1", False, "the search CMA-ES is built on it; it needs numpy only"),
    Row("greenlet", "greenlet", "", True, "makes the Gaussian process propose faster, about three times"),
    Row("optuna", "optuna", ">=5,<6", True, "searches", ("alembic", "sqlalchemy", "colorlog", "packaging", "tqdm")),
)

# What pip prints, to what it means.
_REASONS = (
    (r"ResolutionImpossible|conflicting dependencies", "no version fits beside the packages that are installed"),
    (r"No space left|Errno 28", "the disk is full"),
    (r"Permission denied|Access is denied|Errno 13", "the WebUI's environment cannot be written to"),
    (
        r"NewConnectionError|ConnectTimeout|ReadTimeout|getaddrinfo|connection broken|ProxyError|SSLError",
        "the package index could not be reached",
    ),
    (r"No matching distribution", "the package index has none for this Python"),
)


def main() -> None:
    """Install what is missing, with the WebUI's own means."""
    missing = [row for row in ROWS if _is_missing(row)]
    if not missing:
        return
    names = ", ".join(row.package for row in missing)
    try:
        import launch
    except ImportError:
        print(f"Optim needs {names}. A WebUI installs it when it starts; outside of one, see the README.")
        return
    if launch.args.skip_install:
        return
    with tempfile.TemporaryDirectory(prefix="optim-") as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{line}\n" for line in _installed()), encoding="utf-8")
        try:
            for arguments, rows in _commands(missing, constraints):
                launch.run_pip(arguments, f"{', '.join(row.package for row in rows)} for Optim")
        except Exception as error:  # noqa: BLE001 - whatever it is, the WebUI must start
            print(
                f"Optim could not install {names}, because {_reason(str(error))}; the WebUI works without it, and "
                "Optim tries again at the next start (WEBUI_LAUNCH_LIVE_OUTPUT=1 shows what pip says)."
            )


def _is_missing(row: Row) -> bool:
    try:
        version = importlib.metadata.version(row.package)
    except importlib.metadata.PackageNotFoundError:
        version = None
    if version is None or not all(_can_import(module) for module in (row.module, *row.also)):
        return True
    return not all(_holds(version, rule) for rule in filter(None, row.version.split(",")))


def _can_import(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _holds(version: str, rule: str) -> bool:
    """Tell whether `version` satisfies one rule (``==``, ``>=`` or ``<``), by its release numbers."""
    operator, wanted = re.fullmatch(r"(==|>=|<)([\d.]+)", rule).groups()  # type: ignore[union-attr]
    have, limit = _release(version), _release(wanted)
    have, limit = (numbers + (0,) * (8 - len(numbers)) for numbers in (have, limit))
    return {"==": have == limit, ">=": have >= limit, "<": have < limit}[operator]


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _installed() -> Iterator[str]:
    """Yield ``name==version`` of everything installed but our own packages."""
    seen = {_normal(row.package) for row in ROWS if row.version}
    for distribution in importlib.metadata.distributions():
        name, version = distribution.metadata["Name"], distribution.metadata["Version"]
        # The first one found is the one that Python imports. A name or version that pip cannot read, it cannot keep.
        readable = name and version and re.fullmatch(r"(\d+!)?\d+(\.\d+)*[a-zA-Z0-9.+_-]*", version)
        if readable and _normal(name) not in seen:
            seen.add(_normal(name))
            yield f"{name}=={version}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _commands(rows: Sequence[Row], constraints: Path) -> Iterator[tuple[str, list[Row]]]:
    """Yield pip's arguments, at most once without and once with dependencies; quoted for sh and for cmd.exe."""
    for dependencies, options in ((False, "--no-deps"), (True, f'--constraint "{constraints}"')):
        chosen = [row for row in rows if row.dependencies is dependencies]
        if chosen:
            yield f"install {options} " + " ".join(f'"{row.package}{row.version}"' for row in chosen), chosen


def _reason(text: str) -> str:
    return next((reason for pattern, reason in _REASONS if re.search(pattern, text)), "pip failed")


if __name__ == "__main__":
    main()
