"""The one wrapper around every JSON route: login, same origin, JSON in and out, errors as sentences."""

from __future__ import annotations

import base64
import json
import logging
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lib_optim.plan.errors import OptimError, PlanError, RunError, shown
from lib_optim.ui.compat import login_missing
from lib_optim.ui.reach import knows

__all__ = ["API_VERSION", "MAX_BODY", "VERSION_HEADER", "Call", "Refused", "endpoint"]

_log = logging.getLogger(__name__)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
API_VERSION = 1
"""Of the routes: fields and routes are added within a version; none is taken away or changes its meaning."""
VERSION_HEADER = "X-Optim-Api"
MAX_BODY = 1_000_000
"""Bytes that a request may have, unless its route says otherwise."""


class Refused(Exception):
    """A request that is not served: `status` and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Call:
    """One request, already checked.

    Attributes:
        query: Of the address.
        path: Parts of the address.
        body: The JSON object of a POST, empty for a GET.
        local: Whether whoever asks certainly sits at this machine: neither another address nor a tunnel or proxy.
    """

    query: Mapping[str, str]
    path: Mapping[str, str]
    body: Mapping[str, Any]
    local: bool = False

    def file(self, field: str = "data") -> bytes:
        """Return a file that the body holds in base64.

        Raises:
            Refused: It is not in base64.
        """
        try:
            return base64.b64decode(str(self.body.get(field) or ""), validate=True)
        except ValueError as error:
            raise Refused(400, f"'{field}' must be a file in base64.") from error


def endpoint(
    handler: Callable[[Call], Any],
    hosts: Collection[str] | None = None,
    most: int = MAX_BODY,
    credentials: Mapping[str, str] | None = None,
) -> Callable[..., Any]:
    """Wrap `handler`, which runs on a worker thread and returns JSON data or a `Response`.

    Args:
        handler: Raises `OptimError` for everything the user should read.
        hosts: Names by which the server may be called; None accepts any (a WebUI is reached through tunnels and
            proxies). Keeps a foreign page from reaching a local server through a name of its own.
        most: Bytes that a request may have.
        credentials: User to password of the host's own API: who knows them needs no login of the page.
    """

    async def serve(request: Request) -> Response:
        response = await answer(request)
        response.headers[VERSION_HEADER] = str(API_VERSION)
        return response

    async def answer(request: Request) -> Response:
        try:
            _check(request, hosts, credentials or {})
            body = await _body(request, most) if request.method == "POST" else {}
            call = Call(request.query_params, request.path_params, body, _is_local(request))
            result = await run_in_threadpool(handler, call)
        except Refused as error:
            return _error(error.status, str(error))
        except PlanError as error:
            problems = [{"where": problem.where, "sentence": problem.sentence} for problem in error.problems]
            return _error(400, str(error), problems=problems)
        except OptimError as error:
            return _error(409 if isinstance(error, RunError) else 400, str(error))
        except Exception:  # noqa: BLE001 (the page gets a sentence, the log the trace)
            _log.exception("%s %s failed", request.method, request.url.path)
            return _error(500, "Optim met an error of its own; the trace is in the program's log.")
        if isinstance(result, Response):
            return result
        return _Json(result, headers={"Cache-Control": "no-store"})

    return serve


def _is_local(request: Request) -> bool:
    here = {"127.0.0.1", "::1", "localhost"}
    passed_on = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))
    client = "" if request.client is None else request.client.host
    name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    return client in here and name in here and not passed_on


class _Json(JSONResponse):
    """JSON of anything that Python holds: a file's name need not be text to other programs."""

    def render(self, content: Any) -> bytes:
        try:
            return super().render(content)
        except UnicodeEncodeError:
            return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is no finite number")
    return number


def _error(status: int, sentence: str, **more: Any) -> JSONResponse:
    return _Json({"error": shown(sentence), **more}, status_code=status, headers={"Cache-Control": "no-store"})


def _check(request: Request, hosts: Collection[str] | None, credentials: Mapping[str, str]) -> None:
    host = request.headers.get("host", "")
    if hosts is not None and (urlsplit(f"//{host}").hostname or "") not in hosts:
        raise Refused(403, f"This program answers to {' and '.join(sorted(hosts))} only, not to '{host}'.")
    if login_missing(request.app, request) and not knows(credentials, request.headers.get("authorization", "")):
        raise Refused(401, "You are not logged in; reload the page and log in.")
    wanted = request.headers.get(VERSION_HEADER, str(API_VERSION)).strip()
    if wanted != str(API_VERSION):
        raise Refused(400, f"You ask for version {wanted[:20]} of Optim's routes; this program has {API_VERSION}.")
    if request.method == "POST" and not _same_origin(request, host):
        raise Refused(403, "This request comes from another page, so it was not carried out.")


def _same_origin(request: Request, host: str) -> bool:
    """A browser says where a request comes from and no page can change it; a program says nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc in (host, request.headers.get("x-forwarded-host"))


async def _body(request: Request, most: int) -> Mapping[str, Any]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Refused(415, "The request must be JSON (Content-Type: application/json).")
    size = 0
    parts = []
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Refused(413, "The request is too large.")
        parts.append(part)
    try:
        text = (b"".join(parts) or b"{}").decode("utf-8-sig")  # strictly, which json itself is not
        data = json.loads(text, parse_float=_finite, parse_constant=_finite)
        if _HALF.search(text):  # nothing that stores or sends a text could take it
            json.dumps(data, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise Refused(400, "The request holds half of a character (a lone surrogate); leave it out.") from error
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"The request is not valid JSON ({error}).") from error
    if not isinstance(data, dict):
        raise Refused(400, "The request must be a JSON object.")
    return data
