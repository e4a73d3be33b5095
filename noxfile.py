"""The two commands of the README, and their parts.

    nox -s start     the standalone program (arguments after `--` go to it)
    nox -s tests     lint, then the tests with Gradio 4, then the tests marked `ui` with Gradio 3

Two environments serve every session: `.nox/gradio4` (the standalone lock) and `.nox/gradio3` (AUTOMATIC1111's UI
stack). nox can't share one environment between sessions, so this file makes them itself, with the virtualenv that nox
brings along. Each is made once and afterwards touched only when the text of a lock file has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / "requirements"
ENVIRONMENTS = ROOT / ".nox"
LOCKS = {"gradio4": REQUIREMENTS / "standalone.txt", "gradio3": REQUIREMENTS / "gradio3.txt"}
TORCH = REQUIREMENTS / "torch.txt"
UNRESOLVED = REQUIREMENTS / "no-deps.txt"
TEST_TOOLS = REQUIREMENTS / "tests.txt"
PYTHONS = ((3, 10), (3, 11), (3, 12))
TYPED = ("lib_optim/plan", "lib_optim/merging", "lib_optim/search", "lib_optim/run")

# Nothing here may phone home or wait for a network that is not there.
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONNOUSERSITE": "1"}
# One torch thread: the tests run beside a browser and a server, and images stay the same on every machine.
TESTING = {**QUIET, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}

nox.options.sessions = ["tests"]


@nox.session(venv_backend="none")
def start(session: nox.Session) -> None:
    """Open the Optim tab without a WebUI (nox -s start -- --help lists the options)."""
    python = environment(session, "gradio4")
    session.run(python, "-m", "lib_optim", *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Lint, types, all tests with Gradio 4, and the UI's tests with Gradio 3."""
    check_sources(session)
    run_pytest(session, "gradio4", *session.posargs)
    run_pytest(session, "gradio3", "-m", "ui", *session.posargs)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Ruff's rules, ruff's format, mypy."""
    check_sources(session)


@nox.session(venv_backend="none")
def tests4(session: nox.Session) -> None:
    """All tests with Gradio 4 (nox -s tests4 -- tests/plan -k name)."""
    run_pytest(session, "gradio4", *session.posargs)


@nox.session(venv_backend="none")
def tests3(session: nox.Session) -> None:
    """The tests marked `ui` with Gradio 3."""
    run_pytest(session, "gradio3", "-m", "ui", *session.posargs)


def check_sources(session: nox.Session) -> None:
    python = environment(session, "gradio4", TEST_TOOLS)
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy", *TYPED]):
        session.run(python, "-m", *command, env=TESTING, external=True)


def run_pytest(session: nox.Session, name: str, *arguments: str) -> None:
    """Two at a time, file by file: what a file's tests share is made once. More would starve the browser's tests."""
    python = environment(session, name, TEST_TOOLS)
    session.run(python, "-m", "pytest", "-n", "2", "--dist", "loadfile", *arguments, env=TESTING, external=True)


def environment(session: nox.Session, name: str, *extra_locks: Path) -> str:
    """Return the Python of the named environment, made or brought up to date first where that is needed."""
    home = ENVIRONMENTS / name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    lock = LOCKS[name]
    if not python.exists():  # also where it is a link to a Python that has gone
        make_environment(session, home)
    if changed(home, lock, TORCH, UNRESOLVED):
        install_base(session, python, lock)
        record(home, lock, TORCH, UNRESOLVED)
    if extra_locks and changed(home, lock, *extra_locks):
        pip(session, python, "--no-deps", *(f"-r{path}" for path in extra_locks))
        record(home, lock, *extra_locks)
    return str(python)


def make_environment(session: nox.Session, home: Path) -> None:
    """Make it with the Python that runs nox, or with another on this machine where that one is not supported."""
    here = sys.version_info[:2]
    supported = here in PYTHONS
    wanted = [sys.executable] if supported else [f"{major}.{minor}" for major, minor in reversed(PYTHONS)]
    shutil.rmtree(home, ignore_errors=True)
    command = [sys.executable, "-m", "virtualenv", "--quiet", str(home)]
    for python in wanted:
        command += ["--python", python]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode == 0:
        return
    if supported:
        session.error(f"The environment {home} could not be made: {(made.stderr or made.stdout).strip()}")
    session.error(
        f"Optim without a WebUI runs on Python 3.10, 3.11 and 3.12: this is Python {here[0]}.{here[1]}, and none of "
        "those was found on this machine; install one of them and run this again"
    )


def install_base(session: nox.Session, python: Path, lock: Path) -> None:
    """The lock first, so that torch finds what it needs in place and brings only itself (and on Linux CUDA)."""
    session.log(f"Installing {lock.name} into {python.parents[1]} (once; a few minutes) ...")
    pip(session, python, "--no-deps", f"-r{lock}")
    index = os.environ.get("OPTIM_TORCH_INDEX")
    pip(session, python, f"-r{TORCH}", f"-c{lock}", *(["--index-url", index] if index else []))
    pip(session, python, "--no-deps", f"-r{UNRESOLVED}")


def pip(session: nox.Session, python: Path, *arguments: str) -> None:
    """Run pip: silent in a log, with its progress bars before a person, who may be waiting for gigabytes."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    session.run(
        str(python),
        *("-m", "pip", "install", "--disable-pip-version-check", *quiet, *arguments),
        env={"PYTHONNOUSERSITE": "1"},
        external=True,
    )


def stamp(home: Path, *locks: Path) -> tuple[Path, str]:
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in locks)).hexdigest()
    return home / f"optim-{locks[-1].stem}.stamp", digest


def changed(home: Path, *locks: Path) -> bool:
    path, digest = stamp(home, *locks)
    return not path.exists() or path.read_text() != digest


def record(home: Path, *locks: Path) -> None:
    path, digest = stamp(home, *locks)
    path.write_text(digest)
