"""A WebUI that only shows the tab must not wait for torch or sd-mecha."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import importlib, pkgutil, sys
import lib_optim.merging as package
for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f"lib_optim.merging.{module.name}")
import lib_optim.hosts.digest
heavy = {"torch", "sd_mecha", "safetensors", "numpy", "gradio", "modules"}
print(sorted({name.split(".")[0] for name in sys.modules} & heavy))
"""


def test_importing_the_package_imports_nothing_heavy() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", _SCRIPT], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
