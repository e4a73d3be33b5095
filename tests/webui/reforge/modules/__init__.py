"""Test host: stands in for the `modules` of reForge and Classic; what is not here is as in A1111."""

from pathlib import Path

__path__.append(str(Path(__file__).parents[2] / "a1111" / "modules"))
