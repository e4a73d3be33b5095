"""Hypothesis on a shared machine: the same examples in every run, and no stopwatch per example."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("optim", deadline=None, derandomize=True)
settings.load_profile("optim")
