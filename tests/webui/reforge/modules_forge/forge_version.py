"""Test host: `modules_forge.forge_version`."""

from modules_forge.flavour import CLASSIC

version = "classic" if CLASSIC else "1.0.0v2-v1.10.1RC"
