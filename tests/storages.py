"""Servers for shared studies, each private to a test session: PostgreSQL, MariaDB, and Optuna's gRPC proxy.

Each is started where its programs are found, on a port of the loopback interface, as another user than root (servers
refuse to run as root), and is gone with the session. ``OPTIM_TEST_POSTGRESQL_URL``, ``OPTIM_TEST_MYSQL_URL`` and
``OPTIM_TEST_GRPC_URL`` name a server to use instead.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

__all__ = ["DATABASES", "KINDS", "SECRET", "Server", "start"]

KINDS = ("sqlite", "postgresql", "mysql", "grpc")
DATABASES = ("postgresql", "mysql")
SECRET = "OPTIM_TEST_SECRET"
"""The variable of the environment that holds the password. It is made of what has a meaning in URLs."""
_PASSWORD = "p@ss/w:rd#1%2F?"
_PACKAGES = {"postgresql": ("psycopg2",), "mysql": ("pymysql",), "grpc": ("grpc", "google.protobuf")}
_PATIENCE = 60.0
# Its end, or that of the pipe that the test holds open, is the end of both: a test that is killed leaves no server.
_WITH_US = '{ "$@"; kill -KILL 0; } & read nothing; kill -KILL 0'
_PROXY = "import sys, optuna.storages as s; s.run_grpc_proxy_server(s.get_storage(sys.argv[1]), port={port})"


class Server:
    """A server that can be stopped the hard way and started again, with what it held."""

    def __init__(self, url: str, command: Sequence[str] = (), user: str | None = None) -> None:
        self.url = url
        self._command, self._user = tuple(command), user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ours(self) -> bool:
        """Whether it may be stopped."""
        return bool(self._command)

    def begin(self) -> None:
        """Start it, and wait until it answers."""
        if self._command:
            self._process = subprocess.Popen(
                ["sh", "-c", _WITH_US, "sh", *self._command], user=self._user, stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
            )  # fmt: skip
        limit = time.monotonic() + _PATIENCE
        while True:
            try:
                self._connect()
                return
            except OSError:
                assert self._process is None or self._process.poll() is None, f"{self._command[0]} did not start"
                assert time.monotonic() < limit, f"{self._command[0]} does not answer"
                time.sleep(0.05)

    def _connect(self) -> None:
        from urllib.parse import urlsplit

        place = urlsplit(self.url)
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=1):
            pass

    def end(self) -> None:
        """Kill it with all its processes, as a power cut does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_PATIENCE)
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None


@contextlib.contextmanager
def start(kind: str) -> Iterator[Server]:
    """Start a server of `kind`, or skip the test with the reason why there is none."""
    for package in _PACKAGES[kind]:
        with contextlib.suppress(ModuleNotFoundError):
            if importlib.util.find_spec(package):
                continue
        pytest.skip(f"needs the package {package}")
    given = os.environ.get(f"OPTIM_TEST_{kind.upper()}_URL")
    if given:
        yield Server(given)
        return
    if os.name == "nt":
        pytest.skip(f"set OPTIM_TEST_{kind.upper()}_URL to the URL of a server")
    os.environ[SECRET] = _PASSWORD
    with tempfile.TemporaryDirectory(prefix=f"optim-{kind}-", ignore_cleanup_errors=True) as name:
        server = _MAKERS[kind](Path(name), _free_port())
        try:
            server.begin()
            yield server
        finally:
            server.end()


def _postgresql(folder: Path, port: int) -> Server:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    initdb = _program("postgresql", "initdb", found)
    user = _other_user(folder, "postgres")
    secret = folder / "secret"
    secret.write_text(_PASSWORD)
    secret.chmod(0o644)
    data = str(folder / "data")
    _do(
        [initdb, "-D", data, "-U", "optim", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync", "-E", "UTF8"],
        user,
    )
    command = [str(Path(initdb).parent / "postgres"), "-D", data, "-p", str(port)]
    settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off")
    url = f"postgresql://optim:${SECRET}@127.0.0.1:{port}/postgres"
    return Server(url, [*command, *(word for setting in settings for word in ("-c", setting))], user)


def _mysql(folder: Path, port: int) -> Server:
    places = [Path("/usr/sbin"), Path("/usr/libexec")]
    install = _program("mysql", "mariadb-install-db", places)
    program = _program("mysql", "mariadbd", places)
    _program("mysql", "my_print_defaults", places)  # the first calls it
    user = _other_user(folder, "mysql")
    data = ["--no-defaults", f"--datadir={folder / 'data'}"]
    _do([install, *data, "--auth-root-authentication-method=normal", "--skip-test-db"], user)
    script = folder / "begin.sql"
    script.write_text(
        "CREATE DATABASE IF NOT EXISTS optim;\n"
        f"CREATE USER IF NOT EXISTS 'optim'@'%' IDENTIFIED BY '{_PASSWORD}';\n"
        "GRANT ALL ON *.* TO 'optim'@'%';\n"
    )
    script.chmod(0o644)
    net = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}", f"--init-file={script}"]
    url = f"mysql://optim:${SECRET}@127.0.0.1:{port}/optim"
    return Server(url, [program, *data, *net, "--innodb-flush-log-at-trx-commit=2"], user)


def _grpc(folder: Path, port: int) -> Server:
    command = [sys.executable, "-c", _PROXY.format(port=port), f"sqlite:///{folder / 'study.db'}"]
    return Server(f"grpc://localhost:{port}", command)


_MAKERS: dict[str, Callable[[Path, int], Server]] = {"postgresql": _postgresql, "mysql": _mysql, "grpc": _grpc}


def _program(kind: str, name: str, places: Sequence[Path]) -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, places)])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"needs {name}, or OPTIM_TEST_{kind.upper()}_URL with the URL of a server")
    return found


def _other_user(folder: Path, name: str) -> str | None:
    """Let another user than root own `folder`; None if this process is not root's."""
    if getpass.getuser() != "root" and os.geteuid() != 0:
        return None
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    user = name if name in known else "nobody"
    shutil.chown(folder, user)
    return user


def _do(command: Sequence[str], user: str | None) -> None:
    done = subprocess.run(command, user=user, cwd="/", capture_output=True, text=True, timeout=_PATIENCE, check=False)
    assert done.returncode == 0, done.stderr or done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
