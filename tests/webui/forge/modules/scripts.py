"""Test host: `modules.scripts`; `basedir` is right only while a script is being loaded."""

from pathlib import Path

from tests.webui.scripting import ScriptRunner, ui_runner

scripts_txt2img, scripts_img2img = ui_runner(ScriptRunner), ui_runner(ScriptRunner)


def basedir():
    return str(Path(__file__).resolve().parents[4])
