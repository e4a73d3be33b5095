"""The payload editor, as the page asks for it.

POST /optim/api/payload {payload, instead_of}   write one of the user's own payloads
POST /optim/api/payload_delete {name}           take one away
POST /optim/api/payload_picture {name, data}    keep a picture (base64) to begin images from; returns its name
POST /optim/api/payload_read {name, data | infotext}   what a picture (base64) or its infotext would make as a payload
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lib_optim.hosts.base import Host
from lib_optim.plan.errors import PlanError
from lib_optim.plan.infotext import infotext_payload
from lib_optim.plan.payload import Payload
from lib_optim.run.check_payload import payload_problems
from lib_optim.scoring.picture_text import infotext_of, opened_picture
from lib_optim.ui.http import Call, Refused
from lib_optim.ui.payload_store import PayloadStore

__all__ = ["PayloadApi"]


class PayloadApi:
    """The routes.

    Args:
        host: What makes the images.
        folder: Returns the folder of the user's own payloads; not asked before the first request.
    """

    def __init__(self, host: Host, folder: Callable[[], Path]) -> None:
        self._host, self._folder = host, folder

    def save(self, call: Call) -> dict[str, Any]:
        """Write a payload that this host can honour.

        Raises:
            PlanError: It has problems, or its name is taken.
        """
        data = call.body.get("payload")
        if not isinstance(data, Mapping):
            raise Refused(400, "The request holds no payload.")
        payload = Payload.from_json(data, "payload")
        problems = list(payload_problems(payload, "payload", self._host))
        if problems:
            raise PlanError(problems)
        PayloadStore(self._folder()).save(payload, str(call.body.get("instead_of") or "")[:500])
        return {"name": payload.name}

    def delete(self, call: Call) -> dict[str, Any]:
        """Take a payload of the user's own away."""
        name = str(call.body.get("name") or "")[:500]
        PayloadStore(self._folder()).delete(name)
        return {"deleted": name}

    def picture(self, call: Call) -> dict[str, Any]:
        """Put a picture into the folder of the user's payloads; return the name that `Payload.init_image` takes.

        Raises:
            RunError: It is no picture, or cannot be written.
        """
        name = str(call.body.get("name") or "picture")[:200]
        return {"name": PayloadStore(self._folder()).keep_picture(name, opened_picture(name, call.file()))}

    def read(self, call: Call) -> dict[str, Any]:
        """Return ``payload`` and ``left``: the names of settings that a payload has no place for.

        Fields that this host cannot honour are left out, and named in ``left``.

        Raises:
            PlanError: It holds no settings of a WebUI.
            RunError: It is no picture.
        """
        name = str(call.body.get("name") or "from a picture")[:100]
        text = call.body.get("infotext")
        if not isinstance(text, str):
            text = infotext_of(opened_picture(name, call.file()))
        can = self._host.capabilities()
        read = infotext_payload(text, name, can.samplers, can.schedulers)
        unable = [field for field in read.payload.used_fields() if field not in can.payload_fields]
        data = {field: value for field, value in read.payload.to_json().items() if field not in unable}
        return {"payload": Payload.from_json(data).to_json(), "left": [*read.left, *unable]}
