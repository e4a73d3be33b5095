"""No path and no name of the user gets into a report."""

from __future__ import annotations

import pytest

from lib_optim.selftest.report import anonymous


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("cannot read /home/jane/models/a.safetensors now", "cannot read …/a.safetensors now"),
        (r"C:\Users\Jane\webui\models\x.safetensors is gone", "…/x.safetensors is gone"),
        ("in '/data/sd/b.safetensors'", "in '…/b.safetensors'"),
        ("(file:///srv/x/y.png)", "(file://…/y.png)"),
        ("trial 3/20, 1.5 s/it", "trial 3/20, 1.5 s/it"),
        ("unet/model.diffusion_model.out.2.weight", "unet/model.diffusion_model.out.2.weight"),
        ("nf4/fp4/gguf models", "nf4/fp4/gguf models"),
    ],
)
def test_anonymous(text: str, clean: str) -> None:
    assert anonymous(text) == clean


def test_names_of_user_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    from lib_optim.selftest import report

    monkeypatch.setattr(Path, "home", staticmethod(lambda: Path("/home/janedoe")))
    monkeypatch.setattr(report.platform, "node", lambda: "janes-box")
    assert anonymous("janedoe on janes-box, not janedoes") == "… on …, not janedoes"
