"""Which trial a picture is of, as the page asks for it.

POST /optim/api/picture {name, data}     {folder, trial, recipe, kept} of a picture (base64) that Optim made; `kept`
                                         tells whether the run's folder is here
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib_optim.plan.errors import RunError, StoreError
from lib_optim.plan.infotext import infotext_trial
from lib_optim.run.folder import RunFolder
from lib_optim.scoring.picture_text import infotext_of, opened_picture
from lib_optim.ui.http import Call

__all__ = ["trial_of_picture"]


def trial_of_picture(call: Call, outputs: Path) -> dict[str, Any]:
    """Read run and trial in the picture's infotext.

    Raises:
        RunError: It is no picture, or none of Optim's.
    """
    name = str(call.body.get("name") or "The picture")[:200]
    found = infotext_trial(infotext_of(opened_picture(name, call.file())))
    if found is None:
        raise RunError(f"{name} names no trial: Optim did not make it, or what it said of itself was taken out.")
    folder, trial, recipe = found
    try:
        RunFolder.open(outputs, folder)
    except StoreError:
        kept = False
    else:
        kept = True
    return {"folder": folder, "trial": trial, "recipe": recipe, "kept": kept}
