"""Where a shared study lies: reading its URL, opening Optuna's storage there, and what a driver's error says of it."""

from __future__ import annotations

import importlib.util
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from lib_optim.plan.errors import StoreError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = ["Address", "close_storage", "is_outage", "open_storage", "quiet"]

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_CONNECT_SECONDS = 10
_SQLITE_PATIENCE = 30.0
_TRIES = 5  # at making the tables, which several workers may begin together
# The drivers of a database, by module: the first that is installed serves a URL that names none.
_DRIVERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "postgresql": (("psycopg2", "psycopg2"), ("psycopg", "psycopg")),
    "mysql": (("pymysql", "pymysql"), ("mysqldb", "MySQLdb")),
}
_PACKAGES = {"postgresql": "psycopg2-binary", "mysql": "pymysql", "grpc": "grpcio and protobuf, 5.28.1 or later"}
_CLASH = re.compile("exists|duplicate|unique", re.IGNORECASE)
_AWAY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")


class Address:
    """A shared study's URL, with the environment's variables in their places.

    Attributes:
        url: As SQLAlchemy takes it: what stands for ``$NAME`` before the ``@`` is quoted, so that a password may have
            any characters. Never to be shown.
        shown: For sentences: no user and no password.

    Raises:
        StoreError: A variable is not set, or the password has an ``@`` of its own.
    """

    def __init__(self, given: str) -> None:
        scheme, separator, rest = given.partition("://")
        self.database = scheme.partition("+")[0].casefold()
        self.shown = f"{scheme}{separator}{rest}"
        self._secrets: set[str] = set()
        who = ""
        if self.database != "sqlite" and "@" in rest:
            who, _, rest = rest.rpartition("@")
            self.shown = f"{scheme}://…@{rest}"
            if "@" in who or "/" in who:
                raise StoreError(
                    f"The user or the password in the URL of the shared study at {self.shown} has an @ or a / of its "
                    "own; write %40 and %2F instead, or take it from the environment with $NAME."
                )
            who = self._filled(who, quoted=True)
            password = who.partition(":")[2]
            self._secrets |= {password, unquote(password)} - {""}
            who += "@"
        self.url = f"{scheme}{separator}{who}{self._filled(rest, quoted=False)}"

    def said(self, error: BaseException) -> str:
        """Return what a driver's `error` says, in one line and without the password."""
        import optuna

        if isinstance(error, optuna.exceptions.StorageInternalError | ImportError) and error.__cause__ is not None:
            error = error.__cause__
        error = getattr(error, "orig", None) or error  # what SQLAlchemy wraps, without the statement and its values
        details = getattr(error, "details", None)  # gRPC's own text is a page
        text = str(details() if callable(details) else error) or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return " ".join(text.split())[:200]

    @property
    def package(self) -> str:
        """What must be installed for this storage."""
        return _PACKAGES.get(self.database, "the driver that the URL names")

    def _filled(self, text: str, *, quoted: bool) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name not in os.environ:
                raise StoreError(
                    f"The URL of the shared study at {self.shown} names ${name}, and the environment has no such "
                    "variable; set it before the program is started."
                )
            return quote(os.environ[name], safe="") if quoted else os.environ[name]

        return _VARIABLE.sub(value, text)


def open_storage(address: Address) -> BaseStorage:
    """Connect; the tables are made where they are missing.

    Raises:
        StoreError, ImportError: No driver is installed.
        Exception: Whatever the driver raises.
    """
    import optuna

    if address.database == "grpc":
        return _proxy(address)
    storages = optuna.storages
    for attempt in range(_TRIES):
        try:
            return storages.get_storage(storages.RDBStorage(_with_driver(address), engine_kwargs=_arguments(address)))
        except Exception as error:
            # Two workers that find an empty database both make its tables: the second fails, and finds them then.
            if attempt == _TRIES - 1 or not _CLASH.search(str(error.__cause__ or error)):
                raise
            time.sleep(0.1 * (attempt + 1))
    raise AssertionError("unreachable")


def close_storage(storage: BaseStorage) -> None:
    """Close all its connections, of all threads. Idempotent."""
    storage.remove_session()
    engine = getattr(getattr(storage, "_backend", storage), "engine", None)  # behind get_storage's cache
    if engine is not None:
        engine.dispose()
    elif hasattr(storage, "close"):
        storage.close()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's own log lines to warnings."""
    import optuna

    previous = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(previous)


def is_outage(error: BaseException) -> bool:
    """Whether `error` may pass: the server is away or busy, and what was asked of it was right."""
    import sqlalchemy.exc as sql

    cause = error.__cause__ or error
    if isinstance(cause, sql.OperationalError | sql.InterfaceError):
        return True
    code = getattr(cause, "code", None)
    return callable(code) and getattr(code(), "name", "") in _AWAY


def _proxy(address: Address) -> BaseStorage:
    import optuna

    host, _, port = address.url.partition("://")[2].rstrip("/").rpartition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        proxy = optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    try:
        proxy.wait_server_ready(timeout=_CONNECT_SECONDS)
    except BaseException:
        proxy.close()
        raise
    return proxy


def _with_driver(address: Address) -> str:
    """Return the URL for Optuna, which reads braces as a template."""
    scheme, _, rest = address.url.replace("{", "{{").replace("}", "}}").partition("://")
    drivers = _DRIVERS.get(address.database, ())
    if drivers and "+" not in scheme:
        found = [driver for driver, module in drivers if importlib.util.find_spec(module)]
        if not found:
            raise ImportError(f"no driver for {address.database}")
        scheme += f"+{found[0]}"
    return f"{scheme}://{rest}"


def _arguments(address: Address) -> dict[str, Any]:
    if address.database == "sqlite":
        return {"connect_args": {"timeout": _SQLITE_PATIENCE}}
    known = re.search(r"\+(psycopg2?|pymysql|mysqldb)\b|^\w+://", _with_driver(address))
    patience = {"connect_args": {"connect_timeout": _CONNECT_SECONDS}} if known else {}
    return {"pool_pre_ping": True, **patience}
