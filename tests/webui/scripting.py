"""Always-on scripts of the test host, as `modules.scripts` of the hosts runs them: errors are reported, no more."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

__all__ = ["Broken", "Frame", "Nosy", "Refiner", "ScriptRunner", "ui_runner"]


class Script:
    """What every script has."""

    alwayson, args_from, args_to = True, None, None
    labels: tuple[tuple[str, Any], ...] = ()

    def __init__(self) -> None:
        self.filename = f"/extensions/{type(self).__name__.lower()}.py"

    def title(self) -> str:
        return type(self).__name__

    def postprocess_image(self, p: Any, image: Any, *args: Any) -> Any:
        raise NotImplementedError


class Frame(Script):
    """Draws a border: width and grey from its controls."""

    labels = (("width", 1), ("grey", 255))

    def postprocess_image(self, p: Any, image: Any, width: int, grey: int) -> Any:
        from PIL import ImageOps

        p.extra_generation_params["Frame"] = width
        return ImageOps.expand(ImageOps.crop(image, width), width, (grey, grey, grey))


class Nosy(Script):
    """Another extension of the user's, which nobody asked for."""

    runs = 0

    def postprocess_image(self, p: Any, image: Any, *args: Any) -> Any:
        type(self).runs += 1
        return image.rotate(90)


class Broken(Script):
    """Fails, as extensions do."""

    def postprocess_image(self, p: Any, image: Any, *args: Any) -> Any:
        raise RuntimeError("no detector")


class Refiner(Script):
    """The WebUI's own."""


class ScriptRunner:
    """`modules.scripts.ScriptRunner`, as far as an image needs it."""

    def __init__(self) -> None:
        self.scripts: list[Any] = []
        self.alwayson_scripts: list[Any] = []
        self.selectable_scripts: list[Any] = []
        self.inputs: list[Any] = [None]

    def postprocess_image(self, p: Any, image: Any) -> Any:
        from modules import errors

        for script in self.alwayson_scripts:
            try:
                image = script.postprocess_image(p, image, *p.script_args[script.args_from : script.args_to])
            except Exception:  # noqa: BLE001 - as the hosts do
                errors.report(f"Error running postprocess_image: {script.filename}", exc_info=True)
        return image


def ui_runner(make: Callable[[], Any]) -> Any:
    """Return a runner whose controls were made, as a tab of the hosts has one."""
    runner = make()
    for script in (Nosy(), Frame(), Broken(), Refiner()):
        script.args_from = len(runner.inputs)
        runner.inputs += [SimpleNamespace(label=label, value=value) for label, value in script.labels]
        script.args_to = len(runner.inputs)
        runner.scripts.append(script)
        runner.alwayson_scripts.append(script)
    return runner
