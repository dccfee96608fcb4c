"""The units are what systemd takes, closed as far as they can be, and their commands work."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import socket
import sys
from pathlib import Path

import pytest

from ladderpipe.board.clock_watch import LEASE

from .programs import DEPLOY, HERE, answer, checked, free_port, is_well, started, tool, until

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
VENV = "/srv/shop/venv/bin"
URL = "postgresql:///shop?host=/run/postgresql"


def section(unit: Path) -> configparser.SectionProxy:
    read = configparser.RawConfigParser(strict=False, delimiters="=")
    read.optionxform = str  # type: ignore[assignment]
    read.read(unit)
    return read["Service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_a_unit_and_finds_it_closed(unit: Path, tmp_path: Path) -> None:
    analyze = tool("systemd-analyze", "systemd")
    here = tmp_path / unit.name
    text = unit.read_text().replace(VENV, str(HERE))
    here.write_text(text)
    assert checked(analyze, "verify", "--man=no", here) == ""
    # Of 100: what is left is the network, which it needs, and no change of root.
    told = checked(analyze, "security", "--offline=true", "--threshold=15", here)
    assert "Overall exposure level" in told
    here.write_text(text.replace("ProtectSystem=strict\n", "").replace("PrivateUsers=yes\n", ""))
    with pytest.raises(AssertionError):
        checked(analyze, "security", "--offline=true", "--threshold=15", here)


def test_nobody_is_taken_for_hung_within_the_lease_of_a_delivery() -> None:
    service = section(DEPLOY / "systemd" / "ladderpipe-worker.service")
    assert service["Type"] == "notify"
    for setting in ("WatchdogSec", "TimeoutStopSec"):
        minutes = re.fullmatch(r"(\d+)min", service[setting])
        assert minutes is not None
        assert int(minutes[1]) * 60 > LEASE.total_seconds()


def test_the_commands_of_the_units_work(postgres_url: str, tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "shop.py", tmp_path)
    worker, board = (
        section(DEPLOY / "systemd" / f"ladderpipe-{name}.service") for name in ("worker", "board")
    )
    assert URL in worker["ExecStart"]
    assert URL in worker["ExecStartPre"]

    def here(command: str) -> list[str]:
        program, *rest = shlex.split(command)
        assert program.startswith(f"{VENV}/")
        return [Path(program).name, *(postgres_url if part == URL else part for part in rest)]

    _, *prepare = here(worker["ExecStartPre"])
    checked(sys.executable, tmp_path / prepare[0], *prepare[1:])

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        with started(here(worker["ExecStart"]), tmp_path, **told) as process:
            assert [systemd.recv(99) for _ in range(3)] == [b"READY=1"] + [b"WATCHDOG=1"] * 2
        assert process.returncode == 0

    port = free_port()
    command = [str(port) if part == "8000" else part for part in here(board["ExecStart"])]
    with started(command, tmp_path, LADDERPIPE_TOKEN="secret") as process:
        until(lambda: is_well(f"http://127.0.0.1:{port}/-/ready"), process, tmp_path)
        found = answer(f"http://127.0.0.1:{port}/")
        assert found is not None
        assert found.status_code == 401
