"""Programs that operators run, started as they would be, on free ports, in folders of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"
HERE = Path(sys.executable).parent


def tool(name: str, package: str) -> str:
    """Return a program's path; who does not have it is told what it comes with."""
    found = shutil.which(name, path=f"{HERE}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed (it comes with {package})")
    return found


def checked(*command: str | Path, **variables: str) -> str:
    """Run a program to its end, which must be a good one; return what it said."""
    done = subprocess.run(
        command,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextlib.contextmanager
def started(
    command: Sequence[str], folder: Path, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a program of this environment while the block runs; SIGTERM has to end it well."""
    name, *arguments = command
    here = HERE / name
    path = os.pathsep.join([str(DEPLOY), str(ROOT), os.environ.get("PYTHONPATH", "")])
    log = folder / f"{len(list(folder.glob('*.log')))}.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [str(here) if here.exists() else name, *arguments],
            cwd=folder,
            env=os.environ
            | {"PYTHONPATH": path, "PATH": f"{HERE}{os.pathsep}{os.environ['PATH']}"}
            | variables,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
            assert process.poll() is None, log.read_text()
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            assert code in (0, -signal.SIGTERM), log.read_text()
        finally:
            process.kill()
            process.wait()


def until(is_so: Callable[[], bool], process: subprocess.Popen[str], folder: Path) -> None:
    """Wait until something is so, as long as the program runs, and a minute at most."""
    latest = time.monotonic() + 60
    while not is_so():
        if process.poll() is not None or time.monotonic() > latest:
            pytest.fail("\n".join(log.read_text() for log in folder.glob("*.log")))
        time.sleep(0.1)


def answer(address: str, accept: str = "*/*", **asked: str) -> httpx.Response | None:
    """Return what is answered there, ``None`` while nobody listens."""
    headers = {"Accept": accept}
    try:
        return httpx.get(
            address, params=asked or None, headers=headers, timeout=10, trust_env=False
        )
    except httpx.TransportError:
        return None


def is_well(address: str) -> bool:
    found = answer(address)
    return found is not None and found.status_code == 200


def exported_to(port: int, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a container that exports metrics, at a port that is free here."""
    otel = {name: value for name, value in settings.items() if name.startswith("OTEL_")}
    assert otel["OTEL_METRICS_EXPORTER"] == "prometheus"
    return otel | {
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
    }
