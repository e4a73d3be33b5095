"""install.py: silent when all is there, exact when something is missing, one sentence when it fails."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import time
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.host_pins import HOST_PINS, OLD_INSTALL

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def installer() -> Any:
    spec = importlib.util.spec_from_file_location("optim_install", ROOT / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["optim_install"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["optim_install"]


class Launch(types.ModuleType):
    """The WebUI's `launch`: records what pip is asked for, and what the constraints say at that moment."""

    def __init__(self) -> None:
        super().__init__("launch")
        self.args = types.SimpleNamespace(skip_install=False)
        self.calls: list[tuple[list[str], str]] = []
        self.constraints: dict[str, str] = {}
        self.fails: Exception | None = None

    def run_pip(self, command: str, desc: str | None = None) -> None:
        words = shlex.split(command)
        if "--constraint" in words:
            path = Path(words[words.index("--constraint") + 1])
            lines = path.read_text(encoding="utf-8").split()
            self.constraints = dict(line.split("==") for line in lines)
            words[words.index("--constraint") + 1] = "FILE"
        self.calls.append((words, desc or ""))
        if self.fails is not None:
            raise self.fails


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> Launch:
    fake = Launch()
    monkeypatch.setitem(sys.modules, "launch", fake)
    return fake


def pretend(
    monkeypatch: pytest.MonkeyPatch, versions: Mapping[str, str | None], unimportable: tuple[str, ...] = ()
) -> None:
    """Let packages have other versions, be absent (None), or be there without files."""
    version, find_spec = importlib.metadata.version, importlib.util.find_spec

    def fake_version(name: str) -> str:
        found = versions.get(name, "real")
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name) if found == "real" else found

    monkeypatch.setattr(importlib.metadata, "version", fake_version)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name in unimportable else find_spec(name))


NO_DEPS = ["install", "--no-deps", "sd-mecha==1.1.8", "fuzzywuzzy==0.18.0"]
WITH_DEPS = ["install", "--constraint", "FILE"]


def test_nothing_is_done_or_said_when_all_is_there(installer: Any, launch: Launch, capsys: Any) -> None:
    installer.main()
    assert launch.calls == []
    assert capsys.readouterr() == ("", "")


def test_a_satisfied_start_costs_far_less_than_a_second() -> None:
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, str(ROOT / "install.py")], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    print(f"install.py, satisfied: {seconds:.2f} s")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert seconds < 1


def test_a_satisfied_start_imports_neither_launch_nor_what_it_checks() -> None:
    code = (
        "import runpy, sys; runpy.run_path('install.py', run_name='__main__');"
        "sys.exit(str({'launch', 'optuna', 'sd_mecha', 'scipy', 'torch', 'yaml'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(
    ("versions", "unimportable", "calls"),
    [
        (
            {"sd-mecha": None, "fuzzywuzzy": None, "optuna": None},
            (),
            [(NO_DEPS, "sd-mecha, fuzzywuzzy for Optim"), ([*WITH_DEPS, "optuna>=5,<6"], "optuna for Optim")],
        ),
        ({"sd-mecha": "1.1.7"}, (), [([*NO_DEPS[:2], "sd-mecha==1.1.8"], "sd-mecha for Optim")]),
        ({"sd-mecha": "1.1.9"}, (), [([*NO_DEPS[:2], "sd-mecha==1.1.8"], "sd-mecha for Optim")]),
        ({"fuzzywuzzy": None}, (), [([*NO_DEPS[:2], "fuzzywuzzy==0.18.0"], "fuzzywuzzy for Optim")]),
        ({"optuna": "4.6.0"}, (), [([*WITH_DEPS, "optuna>=5,<6"], "optuna for Optim")]),
        ({"optuna": "6.0.0"}, (), [([*WITH_DEPS, "optuna>=5,<6"], "optuna for Optim")]),
        ({"optuna": "5.9.1"}, (), []),
        ({"scipy": None}, (), [([*WITH_DEPS, "scipy"], "scipy for Optim")]),
        ({"scipy": "1.9.0"}, (), []),
        ({"PyYAML": None}, (), [([*WITH_DEPS, "PyYAML"], "PyYAML for Optim")]),
        ({"greenlet": None}, (), [([*WITH_DEPS, "greenlet"], "greenlet for Optim")]),
        ({}, ("alembic",), [([*WITH_DEPS, "optuna>=5,<6"], "optuna for Optim")]),
        ({}, ("sqlalchemy",), [([*WITH_DEPS, "optuna>=5,<6"], "optuna for Optim")]),
        ({}, ("sd_mecha",), [([*NO_DEPS[:2], "sd-mecha==1.1.8"], "sd-mecha for Optim")]),
    ],
    ids=str,
)
def test_exactly_what_is_missing_is_installed(
    installer: Any,
    launch: Launch,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    versions: dict[str, str | None],
    unimportable: tuple[str, ...],
    calls: list[tuple[list[str], str]],
) -> None:
    pretend(monkeypatch, versions, unimportable)
    installer.main()
    assert launch.calls == calls
    assert capsys.readouterr().out == "", "run_pip says what it does"


def test_pip_may_change_nothing_that_is_installed(
    installer: Any, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, {"optuna": None})
    installer.main()
    held = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in launch.constraints.items()}
    for name in ("torch", "numpy", "tqdm", "gradio", "pydantic", "transformers", "sqlalchemy", "scipy", "pyyaml"):
        assert held[name] == importlib.metadata.version(name)
    assert not {"optuna", "sd-mecha", "fuzzywuzzy"} & set(held), "these are ours to change"


def test_the_constraints_are_removed_afterwards(
    installer: Any, launch: Launch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    monkeypatch.setattr(installer.tempfile, "tempdir", str(folder))
    pretend(monkeypatch, {"optuna": None})
    installer.main()
    assert launch.constraints
    assert list(folder.iterdir()) == []


class Distribution:
    def __init__(self, name: str | None, version: str | None) -> None:
        self.metadata = {"Name": name, "Version": version}


def test_what_pip_cannot_read_is_left_out_and_the_first_of_two_counts(
    installer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Distribution("torch", "2.3.1+cu121"),
        Distribution("Torch", "1.0"),
        Distribution(None, None),
        Distribution("broken", None),
        Distribution("git-thing", "unknown"),
        Distribution("zope.interface", "6.0rc1"),
        Distribution("Zope_Interface", "5.0"),
        Distribution("SD_Mecha", "1.1.0"),
    ]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: iter(found))
    assert list(installer._installed()) == ["torch==2.3.1+cu121", "zope.interface==6.0rc1"]


def test_skip_install_is_honoured(installer: Any, launch: Launch, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    launch.args.skip_install = True
    pretend(monkeypatch, {"optuna": None})
    installer.main()
    assert launch.calls == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "Retrying after connection broken by 'NewConnectionError(Name or service not known)'\nERROR: No matching",
            "the package index could not be reached",
        ),
        ("ERROR: No matching distribution found for optuna<6,>=5", "the package index has none for this Python"),
        ("ERROR: ResolutionImpossible: for help visit", "no version fits beside the packages that are installed"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("PermissionError: [Errno 13] Permission denied", "the WebUI's environment cannot be written to"),
        ("something else", "pip failed"),
    ],
)
def test_a_failure_is_one_sentence_and_the_webui_starts(
    installer: Any, launch: Launch, monkeypatch: pytest.MonkeyPatch, capsys: Any, output: str, reason: str
) -> None:
    pretend(monkeypatch, {"sd-mecha": None, "optuna": None})
    launch.fails = RuntimeError(f"Couldn't install.\nCommand: python -m pip\nError code: 1\n{output}")
    installer.main()
    printed = capsys.readouterr()
    assert printed.out == (
        f"Optim could not install sd-mecha, optuna, because {reason}; the WebUI works without it, and Optim tries "
        "again at the next start (WEBUI_LAUNCH_LIVE_OUTPUT=1 shows what pip says).\n"
    )
    assert printed.err == ""
    assert len(launch.calls) == 1, "no second wait for a network that is not there"


def test_outside_a_webui(installer: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "launch", None)
    pretend(monkeypatch, {"optuna": None})
    installer.main()
    assert capsys.readouterr().out == (
        "Optim needs optuna. A WebUI installs it when it starts; outside of one, see the README.\n"
    )


def test_offline_for_real(tmp_path: Path) -> None:
    """The WebUI's own `run_pip` in short, and a package index that nobody answers for."""
    fake = (
        "import subprocess, sys, types\n"
        "args = types.SimpleNamespace(skip_install=False)\n"
        "def run_pip(command, desc=None):\n"
        "    line = f'\"{sys.executable}\" -m pip {command} --index-url http://127.0.0.1:9/simple --retries 1'\n"
        "    done = subprocess.run(line, shell=True, capture_output=True, text=True)\n"
        "    if done.returncode:\n"
        "        raise RuntimeError(f'Error code: {done.returncode} {done.stdout} {done.stderr}')\n"
    )
    (tmp_path / "launch.py").write_text(fake, encoding="utf-8")
    code = (
        "import importlib.metadata as m, runpy, sys\n"
        "real = m.version\n"
        "def version(name):\n"
        "    if name == 'sd-mecha': return '0.0.1'\n"
        "    return real(name)\n"
        "m.version = version\n"
        "runpy.run_path('install.py', run_name='__main__')\n"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    environment |= {"PYTHONPATH": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, "PIP_TARGET": str(tmp_path / "target")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("Optim could not install sd-mecha, because the package index could not be reached;")
    assert done.stdout.count("\n") == 1


# Rows


def test_the_rows_name_what_the_code_imports(installer: Any) -> None:
    rows = {row.package: row for row in installer.ROWS}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = (\[.*\])$", project, re.MULTILINE)
    assert listed is not None
    for requirement in json.loads(listed[1]):
        name, rule = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()  # type: ignore[union-attr]
        assert rows[name].version == rule
    for row in rows.values():
        assert row.why
        assert importlib.util.find_spec(row.module) is not None


@pytest.mark.parametrize("host", HOST_PINS)
def test_no_row_is_pinned_by_a_host(installer: Any, host: str) -> None:
    pinned = {name.lower() for name in HOST_PINS[host]}
    assert not pinned & {row.package.lower() for row in installer.ROWS}


def test_why_sd_mecha_goes_without_its_dependencies() -> None:
    from packaging.requirements import Requirement

    clashes = {
        host: [
            str(requirement)
            for text in importlib.metadata.requires("sd-mecha") or []
            if (requirement := Requirement(text)).name in pins
            and not requirement.specifier.contains(pins[requirement.name])
        ]
        for host, pins in HOST_PINS.items()
    }
    assert clashes == {"A1111 1.10.1": [], "Forge": ["tqdm>=4.66.2"]}


@pytest.mark.slow
@pytest.mark.parametrize("old", [{}, OLD_INSTALL], ids=["fresh", "old"])
@pytest.mark.parametrize("host", HOST_PINS)
def test_resolving_beside_the_pins_changes_none_of_them(
    installer: Any, tmp_path: Path, host: str, old: Mapping[str, str]
) -> None:
    """What pip would do with the commands of install.py in a host that has these versions and nothing of ours."""
    pins = {**old, **HOST_PINS[host]}
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()), encoding="utf-8")
    would_install: dict[str, str] = {}
    for arguments, _ in installer._commands(installer.ROWS, constraints):
        report = tmp_path / "report.json"
        command = [sys.executable, "-m", "pip", *shlex.split(arguments), "--dry-run", "--ignore-installed"]
        command += ["--quiet", "--disable-pip-version-check", "--prefer-binary", "--report", str(report)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and installer._reason(done.stderr) == "the package index could not be reached":
            pytest.skip("no package index can be reached, so pip cannot resolve anything")
        assert done.returncode == 0, done.stderr
        for item in json.loads(report.read_text(encoding="utf-8"))["install"]:
            would_install[item["metadata"]["name"]] = item["metadata"]["version"]

    def normal(names: Mapping[str, str]) -> dict[str, str]:
        return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in names.items()}

    found, held = normal(would_install), normal(pins)
    assert found["sd-mecha"] == "1.1.8"
    assert found["optuna"].startswith("5.")
    assert {name: found[name] for name in found if name in held} == {name: held[name] for name in found if name in held}
    added = set(found) - set(held)
    print(f"{host}: adds {', '.join(sorted(f'{name} {found[name]}' for name in added))}")
    ours = {"sd-mecha", "fuzzywuzzy", "optuna", "cmaes", "alembic", "mako", "sqlalchemy", "greenlet", "colorlog"}
    # and what both hosts have without pinning it
    unpinned = {"scipy", "pyyaml", "packaging", "tqdm", "typing-extensions", "markupsafe", "tomli"}
    assert added <= ours | unpinned
