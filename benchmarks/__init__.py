"""Measurements. Each module is one command that prints a table and writes its figures to docs/."""
