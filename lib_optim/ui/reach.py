"""Under which names a WebUI may be asked, with which credentials, and what to say where everybody may.

A page of a stranger can have the browser ask this machine: it gives its own name our address (DNS rebinding), and the
browser takes our answers for its own. Such a request carries the stranger's name as ``Host``. Numbers and names without
a dot are nobody's to give away; a login is safe too, as its cookie belongs to one name.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LocalNames", "Reach", "knows", "reach_of"]

NAMES_VARIABLE = "OPTIM_HOSTS"
"""Environment variable with more names that this WebUI is reached by, commas between: of a proxy on this machine."""
_LOOPBACK = ("", "127.0.0.1", "localhost", "::1")
_TUNNELS = ("share", "ngrok")


class LocalNames(Collection[str]):
    """The names of a server that only its own machine can reach: numbers, names without a dot, and those given.

    Args:
        more: Names that the user set.
    """

    def __init__(self, more: Collection[str] = ()) -> None:
        self._more = tuple(more)

    def __contains__(self, name: object) -> bool:
        text = str(name).casefold().rstrip(".")
        if not text:
            return False
        if "." not in text or text.endswith((".localhost", ".local")) or text in self._more:
            return True
        try:
            ipaddress.ip_address(text)
        except ValueError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(("an address in numbers", "localhost", *self._more))

    def __len__(self) -> int:
        return 2 + len(self._more)


@dataclass(frozen=True)
class Reach:
    """Who can reach the routes.

    Attributes:
        hosts: For `lib_optim.ui.http.endpoint`.
        credentials: User to password of the host's API, with which programs may ask as well.
        warning: One sentence, where anybody on the network may use the tab; else empty.
    """

    hosts: Collection[str] | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    warning: str = ""


def reach_of(options: Any) -> Reach:
    """Return what a WebUI's command line options (``shared.cmd_opts``) come to; an option that is absent is off."""

    def given(name: str) -> str:
        value = getattr(options, name, None)
        return "" if value in (None, False) else str(value)

    login = any(map(given, ("gradio_auth", "gradio_auth_path")))
    opened = next((name for name in ("listen", *_TUNNELS) if given(name)), "")
    if not opened and given("server_name") not in _LOOPBACK:
        opened = "server_name"
    pairs = (pair.strip().partition(":") for pair in given("api_auth").split(","))
    credentials = {user: password for user, colon, password in pairs if colon and user and password}
    if login:
        return Reach(None, credentials)
    if opened:
        option = f"--{opened.replace('_', '-')}"
        return Reach(
            None,
            credentials,
            f"This WebUI was started with {option} and no login, so anybody who reaches it can use this tab, its "
            "models and its disk; add --gradio-auth name:password.",
        )
    more = (name.strip().casefold() for name in os.environ.get(NAMES_VARIABLE, "").split(","))
    return Reach(LocalNames(tuple(filter(None, more))), credentials)


def knows(credentials: Mapping[str, str], authorization: str) -> bool:
    """Tell whether an ``Authorization: Basic …`` header holds one of `credentials`; in a time that tells nothing."""
    kind, _, text = authorization.partition(" ")
    if kind.casefold() != "basic" or not credentials:
        return False
    try:
        user, _, password = base64.b64decode(text, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return False
    found = [
        hmac.compare_digest(user.encode(), name.encode()) & hmac.compare_digest(password.encode(), secret.encode())
        for name, secret in credentials.items()
    ]
    return any(found)
