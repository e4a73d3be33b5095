from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lib_optim.plan.errors import PlanError, ScorerError
from lib_optim.scoring.groups import GROUPS, group_of
from lib_optim.scoring.registry import scorer_row, scorer_rows
from tools import scorers_page

DOCS = Path(__file__).parents[2] / "docs" / "scorers.md"


def test_rows_are_complete() -> None:
    ids = [row.id for row in scorer_rows()]
    assert len(set(ids)) == len(ids)
    for row in scorer_rows():
        for text in (row.title, row.measures, row.fooled_by, row.licence):
            assert text.strip()
        assert all(math.isfinite(v) for v in row.typical)
        assert row.typical[0] != row.typical[1]
        assert set(row.devices) <= {"cpu", "cuda"}
        assert row.memory > 0 or not row.weights
        names = [option.name for option in row.options]
        assert len(names) == len(set(names))
        for option in row.options:
            assert option.kind in {"path", "image", "text", "number", "bool", "choice"}
            assert (option.kind == "choice") == bool(option.choices)
            assert option.kind != "choice" or option.default in option.choices
        for file in row.weights:
            assert file.url.startswith("https://")
            assert file.bytes > 0
            assert re.fullmatch("[0-9a-f]{64}|", file.sha256)


def test_only_manual_is_manual_and_has_nothing_to_build() -> None:
    assert [row.id for row in scorer_rows() if row.manual] == ["manual"]
    assert scorer_row("manual").typical == (0.0, 10.0)
    with pytest.raises(ScorerError, match="clicks"):
        scorer_row("manual").build({}, Path())


def test_unknown_id_names_the_nearest() -> None:
    with pytest.raises(PlanError, match="Did you mean 'imagereward'"):
        scorer_row("image-reward")


def test_docs_name_every_row_file_and_option() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for row in scorer_rows():
        assert f"`{row.id}`" in text
        for name in [*(option.name for option in row.options), *(file.name for file in row.weights)]:
            assert f"`{name}`" in text, f"docs/scorers.md does not mention {name} of {row.id}"


def test_the_tables_of_the_docs_are_those_of_the_registry() -> None:
    written = DOCS.read_text(encoding="utf-8")
    assert [written.count(f"<!-- {name} -->") for name in ("scorers", "files", "options", "typical")] == [1] * 4
    assert written == scorers_page.page(written), "write them anew: python -m tools.scorers_page"


def test_import_is_light() -> None:
    code = (
        "import sys, lib_optim.scoring.registry, lib_optim.scoring.worker, lib_optim.scoring.check\n"
        "import lib_optim.scoring.combine, lib_optim.scoring.prompts\n"
        "from lib_optim.scoring.registry import scorer_row\n"
        "for name in ('imagereward', 'clipscore', 'pickscore', 'hpsv2', 'laion2', 'waifu'):\n"
        "    scorer_row(name).build({}, '.')\n"
        "heavy = {'torch', 'transformers', 'open_clip', 'torchvision', 'safetensors', 'gradio'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_group_of_the_tab_holds_judges_that_exist_and_none_twice() -> None:
    grouped = [scorer for group in GROUPS for scorer in group.scorers]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) <= {row.id for row in scorer_rows()}
    assert {row.id for row in scorer_rows() if not group_of(row.id)} >= {"imagereward", "technical", "manual"}
