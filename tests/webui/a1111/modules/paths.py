"""Test host: `modules.paths`."""

from modules import shared

data_path = script_path = str(shared.folder)
models_path = str(shared.folder / "models")
