"""Test host: stands in for the `modules_forge` of reForge and Classic; the main thread is as in Forge."""

from pathlib import Path

__path__.append(str(Path(__file__).parents[2] / "forge" / "modules_forge"))
