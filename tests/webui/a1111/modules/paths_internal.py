"""Test host: `modules.paths_internal`."""

from modules import shared

data_path = script_path = str(shared.folder)
models_path = str(shared.folder / "models")
default_output_dir = str(shared.folder / "outputs")
