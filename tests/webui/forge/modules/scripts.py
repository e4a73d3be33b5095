"""Test host: `modules.scripts`; `basedir` is right only while a script is being loaded."""

from pathlib import Path


def basedir():
    return str(Path(__file__).resolve().parents[4])
