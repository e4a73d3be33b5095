"""Test host: `modules_forge.forge_version`."""

version = "2.0.1v1.10.1"
