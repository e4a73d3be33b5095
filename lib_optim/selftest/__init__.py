"""The conformance suite: the same checks under pytest and inside a user's WebUI.

`run_selftest(host)` checks the statements of `rows.STATEMENTS` and returns a `SelftestReport`; `report_text` makes of
it what a user pastes into an issue. Importing this package imports no torch.
"""

from lib_optim.selftest.report import Outcome, SelftestReport, report_text
from lib_optim.selftest.rows import STATEMENTS, Row, rows
from lib_optim.selftest.runner import run_selftest

__all__ = ["STATEMENTS", "Outcome", "Row", "SelftestReport", "report_text", "rows", "run_selftest"]
