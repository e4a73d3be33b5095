"""One question to a remote scorer over HTTP, with deadline, limits and retries; docs/remote-scorer.md is the contract.

Goes to the host of the address that the user set and nowhere else: no redirect is followed and no proxy of the
environment is asked. Of an answer that is not the contract's, nothing is repeated to the user.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring.base import Progress

__all__ = ["VERSION", "Address", "address_of", "call"]

VERSION = 1
_MOST_ANSWER = 1 << 20  # bytes
_BUSY = (429, 502, 503, 504)
_PAUSES = (0.5, 2.0, 5.0)  # seconds before the second, third, … attempt
_TICK = 0.25
_SAY_EVERY = 2.0


@dataclass(frozen=True)
class Address:
    """Where a remote scorer listens. `path` has no slash at its end."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


class _Again(Exception):
    """An attempt that may go better the next time; says why."""


def address_of(url: str) -> Address:
    """Return the parts of `url`.

    Raises:
        ScorerError: It is no address of the form ``http://host:port/path``.
    """
    hint = "it must look like http://127.0.0.1:7870"
    try:
        parts = urllib.parse.urlsplit(url.strip())
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ScorerError(f"The address '{url}' can't be read ({error}); {hint}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ScorerError(f"'{url}' is not the address of a remote scorer; {hint}.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ScorerError(f"The address '{url}' has a user, a '?' or a '#', which none may have; {hint}.")
    if any(ord(char) <= 32 or ord(char) > 126 for char in parts.hostname + parts.path):
        raise ScorerError(f"The address '{url}' has characters that an address cannot have; {hint}.")
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))


def call(
    address: Address,
    method: str,
    path: str,
    body: bytes | None = None,
    timeout: float = 60.0,
    attempts: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Send one request and return the object of its answer.

    Args:
        address: Where to.
        method: ``GET`` or ``POST``.
        path: Below the address, with a slash in front.
        body: JSON. It has an id, so that the same body may be sent again.
        timeout: Seconds for each attempt, from connecting to the last byte.
        attempts: How often to try where nobody answers, the answer breaks off or the other side is busy.
        progress: Told every two seconds what is waited for; what it raises ends the call.

    Raises:
        ScorerError: No answer that the contract allows; one sentence with the address.
    """
    for attempt in range(attempts):
        try:
            return _attempt(address, method, path, body, timeout, progress)
        except _Again as error:
            if attempt + 1 == attempts:
                tries = f" ({attempts} attempts)" if attempts > 1 else ""
                raise ScorerError(f"The remote scorer at {address} {error}{tries}.") from error
            _pause(_PAUSES[min(attempt, len(_PAUSES) - 1)], address, progress)
    raise ScorerError(f"The remote scorer at {address} was asked {attempts} times, which is no number of attempts.")


def _attempt(
    address: Address, method: str, path: str, body: bytes | None, timeout: float, progress: Progress | None
) -> dict[str, Any]:
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=timeout)
    headers = {"User-Agent": "optim", "Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    with _Watch(address, timeout, progress) as watch:
        try:
            connection.connect()
            watch.hold(connection.sock)
            connection.request(method, f"{address.path}{path}", body, headers)
            response = connection.getresponse()
            status, target = response.status, response.headers.get("Location", "")
            text = response.read(_MOST_ANSWER + 1)
            if len(text) <= _MOST_ANSWER and response.length:  # http.client does not mind
                raise http.client.IncompleteRead(text, response.length)
        except (OSError, http.client.HTTPException, ValueError) as error:
            watch.settle()
            raise _Again(_why(error)) from error
        finally:
            connection.close()
        watch.settle()
    if 300 <= status < 400:
        raise ScorerError(
            f"The remote scorer at {address} sends on to {target[:200] or 'another address'}, which is not followed; "
            "set the address of the scorer itself."
        )
    if len(text) > _MOST_ANSWER:
        raise ScorerError(f"The remote scorer at {address} answers with more than {_MOST_ANSWER:,} bytes; refused.")
    return _answer(address, status, text)


class _Watch:
    """Ends a request at its deadline however slowly bytes trickle in, and when the user does not wait any longer."""

    def __init__(self, address: Address, timeout: float, progress: Progress | None) -> None:
        self._address, self._timeout, self._progress = address, timeout, progress
        self._socket: socket.socket | None = None
        self._done = threading.Event()
        self._late = False
        self._raised: Exception | None = None
        self._thread = threading.Thread(target=self._watch, name="optim-remote-scorer", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def hold(self, connected: socket.socket) -> None:
        """Take note of the socket: http.client lets go of it before the body is read."""
        self._socket = connected

    def settle(self) -> None:
        """Raise what ended the request, if it was this watch."""
        self._done.set()
        self._thread.join()
        if self._raised is not None:
            raise self._raised
        if self._late:
            raise _Again(f"gave no answer within {self._timeout:g} seconds")

    def _watch(self) -> None:
        start = said = time.monotonic()
        while not self._done.wait(_TICK if self._timeout > 2 * _TICK else self._timeout / 2):
            now = time.monotonic()
            if now - start >= self._timeout:
                self._late = True
            elif now - said >= _SAY_EVERY and self._progress is not None:
                said = now
                try:
                    self._progress(f"Waiting for the remote scorer at {self._address} ({now - start:.0f} s).")
                except Exception as error:  # noqa: BLE001 - whatever it raises is handed to the scoring thread
                    self._raised = error
            if (self._late or self._raised is not None) and self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


def _answer(address: Address, status: int, text: bytes) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    ours = isinstance(data, Mapping) and "version" in data
    said = data.get("error") if ours else None
    if status in _BUSY:
        raise _Again(f"is busy or not there (it answered {status})")
    if ours and data["version"] != VERSION:
        spoken = data["version"] if isinstance(data["version"], int) else "another version"
        raise ScorerError(
            f"The remote scorer at {address} speaks version {spoken} of the contract and Optim {VERSION}; use its "
            "scorer_server.py."
        )
    if isinstance(said, str) and said.strip():
        raise ScorerError(f"The remote scorer at {address} says: {' '.join(said.split())[:400].rstrip('.')}.")
    if status != http.client.OK:
        raise ScorerError(f"The remote scorer at {address} answered with the status {status}; check the address.")
    if not ours:
        raise ScorerError(f"What answers at {address} is no remote scorer of Optim; check the address.")
    return dict(data)


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "does not answer; start it, or check the address"
    if isinstance(error, socket.gaierror):
        return "can't be found; check the name in its address"
    if isinstance(error, TimeoutError):
        return "gave no answer in time"
    # http.client's own errors repeat what the other side sent.
    words = " ".join(str(error).split()).rstrip(".")[:200] if isinstance(error, OSError) else ""
    return f"broke off ({type(error).__name__}{': ' + words if words else ''})"


def _pause(seconds: float, address: Address, progress: Progress | None) -> None:
    if progress is not None:
        progress(f"Trying the remote scorer at {address} again.")
    time.sleep(seconds)
