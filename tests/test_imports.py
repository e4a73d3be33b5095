"""The house rules about imports: who may import whom, and what a WebUI's start may cost."""

from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lib_optim.merging.own import MODULES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lib_optim"

# Layer to what it may import beside itself:
# {ui, selftest, __main__} -> run -> {merging, search, scoring, hosts} -> plan
BELOW = {
    "plan": set(),
    "merging": {"plan"},
    "search": {"plan"},
    "scoring": {"plan"},
    "hosts": {"plan"},
    "run": {"plan", "merging", "search", "scoring", "hosts"},
    "selftest": {"plan", "merging", "search", "scoring", "hosts", "run"},
    "ui": {"plan", "merging", "search", "scoring", "hosts", "run", "selftest"},
    "__main__": {"plan", "merging", "search", "scoring", "hosts", "run", "selftest", "ui"},
}
WEBUI = {"modules", "modules_forge", "backend", "ldm_patched", "launch", "ldm", "sgm", "extensions"}
WEBUI_PLACES = (
    "lib_optim/hosts/a1111/",
    "lib_optim/hosts/forge/",
    "lib_optim/hosts/reforge/",
    "lib_optim/hosts/webui/",
    "lib_optim/hosts/detect.py",
)
UI_PLACES = ("lib_optim/ui/",)
SERVERS = {"gradio", "fastapi", "starlette", "uvicorn"}
# Package to the only places that may use it, at any depth of nesting.
ONLY = {
    "optuna": ("lib_optim/search/",),
    "cmaes": ("lib_optim/search/",),
    "sd_mecha": ("lib_optim/merging/",),
    "diffusers": ("lib_optim/hosts/standalone/",),
    "open_clip": ("lib_optim/scoring/", "lib_optim/hosts/standalone/"),
    "transformers": ("lib_optim/scoring/", "lib_optim/hosts/standalone/"),
    # only the name of its error: torch's weights-only loading raises it
    "pickle": ("lib_optim/scoring/state_dicts.py",),
    "dill": (),
    "pydantic": (),
    "joblib": (),
}
HEAVY = {"torch", "torchvision", "sd_mecha", "optuna", "diffusers", "transformers", "open_clip", "scipy", "accelerate"}
HEAVY |= {"sqlalchemy", "pandas", "matplotlib", "plotly"}
# Modules that are one heavy thing through and through, and themselves imported only where that is used.
HEAVY_MODULES = {f"lib_optim/scoring/{name}.py" for name in ("blip", "lpips", "vit")}
HEAVY_MODULES |= {f"lib_optim/merging/own/{name}.py" for name in MODULES}
HEAVY_MODULES |= {
    f"lib_optim/search/{name}.py"
    for name in (
        "bayes_opt_sampler",
        "cma",
        "gfo",
        "hill_climbing",
        "hyperopt_sampler",
        "optim_sampler",
        "optuna_samplers",
        "projected",
        "recorded_sampler",
        "sequence_samplers",
    )
}


@dataclass(frozen=True)
class Use:
    """One imported module, where it stands, and whether importing the file already imports it."""

    file: str
    line: int
    module: str
    at_import: bool

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def in_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def uses_of(tree: ast.AST, file: str, at_import: bool = True) -> Iterator[Use]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Use(file, node.lineno, alias.name, at_import)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            module = node.module or ""
            for alias in node.names:
                # `from lib_optim.ui import tab` names a module just as `import lib_optim.ui.tab` does
                yield Use(file, node.lineno, f"{module}.{alias.name}", at_import)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            if node.args and isinstance(node.args[0], ast.Constant):
                yield Use(file, node.lineno, str(node.args[0].value), at_import)
        elif in_type_checking(node):
            assert isinstance(node, ast.If)
            for part in node.body:
                yield from uses_of(ast.Module([part], []), file, False)
            for part in node.orelse:
                yield from uses_of(ast.Module([part], []), file, at_import)
            continue
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from uses_of(node, file, at_import and not lazy)


@functools.cache
def sources() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        found[path.relative_to(ROOT).as_posix()] = ast.parse(path.read_text(encoding="utf-8"))
    assert len(found) > 60
    return found


@functools.cache
def uses() -> tuple[Use, ...]:
    return tuple(use for file, tree in sources().items() for use in uses_of(tree, file))


def layer_of(file: str) -> str:
    return file.split("/")[1].removesuffix(".py")


def listed(wrong: list[Use]) -> str:
    return "\n".join(map(str, wrong))


def test_every_folder_has_a_layer() -> None:
    assert {layer_of(file) for file in sources()} == {*BELOW, "__init__"}


def test_imports_point_downward_only() -> None:
    wrong = []
    for use in uses():
        parts = use.module.split(".")
        layer = layer_of(use.file)
        if parts[0] != "lib_optim" or parts[1] == "__version__":
            continue
        if parts[1] not in {layer, *BELOW.get(layer, set())}:
            wrong.append(use)
    assert not wrong, listed(wrong)


def test_plan_knows_neither_torch_nor_a_host_nor_a_server() -> None:
    allowed = {"lib_optim", "yaml", "tomli", *sys.stdlib_module_names}  # tomli is tomllib before Python 3.11
    wrong = [use for use in uses() if layer_of(use.file) == "plan" and use.top not in allowed]
    assert not wrong, listed(wrong)


def test_the_webui_is_imported_only_by_its_adapters() -> None:
    wrong = [use for use in uses() if use.top in WEBUI and not use.file.startswith(WEBUI_PLACES)]
    assert not wrong, listed(wrong)


def test_the_webui_is_imported_only_when_it_is_used() -> None:
    wrong = [use for use in uses() if use.top in WEBUI and use.at_import]
    assert not wrong, listed(wrong)


def test_adapters_do_not_know_each_other() -> None:
    hosts = ("a1111", "forge", "standalone")
    wrong = []
    for use in uses():
        mine = use.file.split("/")[2] if use.file.startswith("lib_optim/hosts/") else ""
        theirs = use.module.removeprefix("lib_optim.hosts.").split(".")[0] if "lib_optim.hosts." in use.module else ""
        if mine in (*hosts, "webui") and theirs in hosts and theirs != mine:
            wrong.append(use)
    assert not wrong, listed(wrong)


def test_gradio_stays_in_the_ui() -> None:
    wrong = [
        use
        for use in uses()
        if use.top in SERVERS
        and not use.file.startswith(UI_PLACES)
        and not (use.file.startswith("lib_optim/hosts/") and use.file.endswith("page.py"))
    ]
    assert not wrong, listed(wrong)


@pytest.mark.parametrize("package", ONLY)
def test_each_library_has_its_place(package: str) -> None:
    wrong = [use for use in uses() if use.top == package and not use.file.startswith(ONLY[package])]
    assert not wrong, listed(wrong)


def test_nothing_is_unpickled() -> None:
    calls = [
        f"{file}:{node.lineno} calls {ast.unparse(node.func)}"
        for file, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            ast.unparse(node.func).startswith("pickle.")
            or (ast.unparse(node.func) == "torch.load" and "weights_only=True" not in ast.unparse(node))
        )
    ]
    assert not calls


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    wrong = [use for use in uses() if use.top in HEAVY and use.at_import and use.file not in HEAVY_MODULES]
    assert not wrong, listed(wrong)


def test_heavy_modules_are_imported_where_they_are_used() -> None:
    names = {file.removesuffix(".py").replace("/", ".") for file in HEAVY_MODULES}
    assert set(sources()) >= HEAVY_MODULES
    wrong = [
        use
        for use in uses()
        if use.at_import
        and use.file not in HEAVY_MODULES
        and any(use.module == name or use.module.startswith(f"{name}.") for name in names)
    ]
    assert not wrong, listed(wrong)


def test_every_module_says_what_is_public() -> None:
    missing = [
        file
        for file, tree in sources().items()
        if not file.endswith(("__init__.py", "__main__.py"))
        and not any(isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__" for node in tree.body)
    ]
    assert not missing


def test_every_module_and_every_public_name_is_described() -> None:
    missing = []
    for file, tree in sources().items():
        if not ast.get_docstring(tree):
            missing.append(file)
        for node in tree.body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if named and not ast.get_docstring(node):
                missing.append(f"{file}: {node.name}")
    assert not missing


def test_the_walker_sees_every_kind_of_import() -> None:
    source = (
        "import a.b\nfrom c import d\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import e\nelse:\n    import f\n"
        "def g():\n    import h\n    async def i():\n        from j import k\n"
        "class L:\n    import m\n    def n(self):\n        import o\n"
        "try:\n    import p\nexcept ImportError:\n    import q\n"
        "import importlib\nimportlib.import_module('r.s')\nt = lambda: __import__('u')\n"
    )
    found = {use.module: use.at_import for use in uses_of(ast.parse(source), "x.py")}
    eager = {"a.b", "c.d", "f", "m", "p", "q", "r.s", "importlib", "typing.TYPE_CHECKING"}
    assert {name for name, at_import in found.items() if at_import} == eager
    assert {name for name, at_import in found.items() if not at_import} == {"e", "h", "j.k", "o", "u"}


@functools.cache
def start_of_a_webui() -> dict[str, object]:
    """The cheapest of three starts: the first may still compile, and the machine is shared."""
    reports = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "start_probe.py")],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), "GRADIO_ANALYTICS_ENABLED": "False"},
        )
        assert done.returncode == 0, done.stderr
        assert "could not" not in done.stderr, done.stderr
        assert "failed" not in done.stderr, done.stderr
        reports.append(json.loads(done.stdout.splitlines()[-1]))
    return min(reports, key=lambda report: report["seconds"]["cpu"])


@pytest.mark.ui
def test_a_start_registers_tab_settings_and_routes() -> None:
    report = start_of_a_webui()
    assert report["tabs"] == [["Optim", "optim"]]
    hooks = {"on_ui_tabs", "on_app_started", "on_ui_settings", "on_infotext_pasted"}
    assert set(report["hooks"]) == hooks | {"on_before_reload", "on_script_unloaded"}  # type: ignore[call-overload]
    assert "/optim/api/snapshot" in report["routes"]  # type: ignore[operator]


@pytest.mark.ui
def test_a_start_imports_nothing_heavy_of_its_own() -> None:
    assert not HEAVY & set(start_of_a_webui()["modules"])  # type: ignore[call-overload]


@pytest.mark.ui
def test_a_start_costs_half_of_what_importing_gradio_does_at_most() -> None:
    """A ratio within one process, because seconds depend on the machine and on who else uses it."""
    seconds = start_of_a_webui()["seconds"]
    print(f"the extension's share of a WebUI's start: {seconds}")
    assert seconds["cpu"] < 0.5 * seconds["gradio"], seconds  # type: ignore[index]


@pytest.mark.ui
def test_a_start_starts_no_thread_of_its_own() -> None:
    assert start_of_a_webui()["threads"] == ["MainThread"]
