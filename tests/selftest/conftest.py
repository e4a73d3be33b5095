"""Hosts for the self-test: standalone, and both flavours of the test host, with a LoRA folder its adapter can find."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib_optim.hosts.base import Host
from tests.webui.fixtures import running_host
from tests.webui.layout import sd1_layout, sdxl_layout

LAYOUTS = {"a1111": sd1_layout, "forge": sd1_layout, "a1111-xl": sdxl_layout, "forge-xl": sdxl_layout}


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[[str], Host]]:
    """Return a function from ``standalone``, ``a1111``, ``forge``, ``a1111-xl`` or ``forge-xl`` to a running host."""
    with contextlib.ExitStack() as stack:

        def make(kind: str) -> Host:
            if kind == "standalone":
                from lib_optim.hosts.standalone import StandaloneHost

                return StandaloneHost(tmp_path)
            webui = stack.enter_context(running_host(kind.partition("-")[0], tmp_path, LAYOUTS[kind]()))
            webui.module("modules.shared").cmd_opts.lora_dir = str(tmp_path / "models" / "Lora")
            from lib_optim.hosts.detect import detect_host

            return detect_host()

        yield make
