"""The lock is whole: no package in it asks for one that it does not hold.

Installing resolves nothing, so a hole would show when something is imported, or never. What a
package asks for is read from the one that is installed here. Where the lock has another version of
it for another Python, what that one asks for cannot be known here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = DECLARED["project"]
GROUPS = DECLARED["dependency-groups"]
ITSELF = canonicalize_name(PROJECT["name"])

HERE: dict[str, str] = {**default_environment()}
MACHINES = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
}
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
ENVIRONMENTS = {"here": HERE} | {
    f"{name}-{python}": HERE
    | machine
    | {"python_version": python, "python_full_version": f"{python}.9"}
    for name, machine in MACHINES.items()
    for python in PYTHONS
}


def group(name: str) -> Iterator[str]:
    """Yield what a dependency group asks for, and the groups in it."""
    for entry in GROUPS[name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from group(entry["include-group"])


# Spark lies beside the environment that the others share.
EXTRAS = sorted(PROJECT["optional-dependencies"].keys() - {"spark"})

# What `make lock` resolves into each file.
ASKED = {
    "tools.txt": [*group("tools")],
    "run.txt": [f"{ITSELF}[cli]", *group("build")],
    "deploy.txt": [f"{ITSELF}[serve,postgres,otel,connect]", *group("deploy")],
    "dev.txt": [f"{ITSELF}[{','.join(EXTRAS)}]", *group("dev")],
}


def lines(lock: str) -> list[str]:
    """Return the lines of a lock as pip reads them, which joins what a backslash continues."""
    text = (ROOT / "requirements" / lock).read_text()
    joined = re.sub(r" *\\\n *", " ", text)
    return [line for line in joined.splitlines() if not line.startswith("#")]


def held(lock: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the packages of a lock in an environment, by name, with their versions."""
    found: dict[str, str] = {}
    for line in lines(lock):
        pin = Requirement(line.partition(" --hash=")[0])
        if pin.marker is None or pin.marker.evaluate(dict(environment)):
            (only,) = pin.specifier
            assert canonicalize_name(pin.name) not in found, f"{pin.name} is there twice"
            found[canonicalize_name(pin.name)] = only.version
    return found


def for_extra(asked: str, extra: str) -> str:
    """Return what an extra asks for, which may be for some environments only."""
    package, _, marker = asked.partition(";")
    where = f"({marker}) and " if marker else ""
    return f"{package} ; {where}extra == '{extra}'"


def asked_by(name: str, version: str) -> list[str]:
    """Return what a package asks for: nothing that is known, if another one is installed here."""
    if name == ITSELF:
        return PROJECT["dependencies"] + [
            for_extra(asked, extra)
            for extra, all_asked in PROJECT["optional-dependencies"].items()
            for asked in all_asked
        ]
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        return []
    return (installed.requires or []) if installed.version == version else []


def holes(first: list[str], lock: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """Say what is asked for, beginning with *first*, that is not held, or in another version."""
    lock = {ITSELF: PROJECT["version"], **lock}
    found: list[str] = []
    seen: set[tuple[str, str]] = set()
    waiting = [("pyproject.toml", "", Requirement(asked)) for asked in first]
    while waiting:
        asker, extra, asked = waiting.pop()
        if asked.marker and not asked.marker.evaluate({**environment, "extra": extra}):
            continue
        name = canonicalize_name(asked.name)
        if name not in lock or not asked.specifier.contains(lock[name], prereleases=True):
            found.append(f"{asker} asks for {asked}, the lock has {lock.get(name)}")
            continue
        for one in {"", *asked.extras} - {extra for package, extra in seen if package == name}:
            seen.add((name, one))
            waiting += [(name, one, Requirement(need)) for need in asked_by(name, lock[name])]
    return found


@pytest.mark.parametrize("lock", [*ASKED, "shops.txt", "spark.txt"])
def test_every_line_is_one_version_of_known_content(lock: str) -> None:
    pin = re.compile(r"[\w.-]+==[\w.!+]+( ; [^#]+?)?( --hash=sha256:[0-9a-f]{64})+")
    assert [line for line in lines(lock) if not pin.fullmatch(line)] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("lock", ASKED)
def test_no_package_asks_for_what_the_lock_does_not_hold(lock: str, environment: str) -> None:
    where = ENVIRONMENTS[environment]
    assert holes(ASKED[lock], held(lock, where), where) == []


def test_what_is_installed_here_is_what_the_lock_holds() -> None:
    lock = held("dev.txt", HERE)
    assert {name: version(name) for name in lock} == lock


def test_the_locks_agree_because_they_share_an_environment() -> None:
    dev = held("dev.txt", HERE)
    for other in ("tools.txt", "run.txt", "deploy.txt"):
        assert held(other, HERE).items() <= dev.items()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_is_laid_over_the_environment_hides_nothing_in_it(environment: str) -> None:
    over, dev = (held(f"{name}.txt", ENVIRONMENTS[environment]) for name in ("spark", "dev"))
    assert {"pyspark", "pyarrow"} <= over.keys()
    assert not over.keys() & dev.keys()


def test_a_hole_is_found_where_only_an_extra_of_another_package_asks() -> None:
    lock = held("dev.txt", HERE)
    del lock["psycopg-binary"]
    (hole,) = holes(["dbos"], lock, HERE)
    assert hole.startswith("psycopg asks for psycopg-binary")


def test_a_version_that_is_not_the_one_asked_for_is_found() -> None:
    lock = held("dev.txt", HERE) | {"coverage": "7.0"}
    (hole,) = holes(["pytest-cov"], lock, HERE)
    assert hole == "pytest-cov asks for coverage[toml]>=7.10.6, the lock has 7.0"


def installing(file: Path) -> list[str]:
    """Return the commands in a file that install packages."""
    text = file.read_text().replace("\\\n", " ")
    command = re.compile(r"^[^#]*(\bpip3?|\(PIP\)|\buv) (.* )?(install|sync|run|add)\b")
    return [line for line in text.splitlines() if command.search(line)]


def test_no_command_resolves_again_what_the_lock_has_resolved() -> None:
    commands = [c for file in [ROOT / "Makefile", *ROOT.glob(".ci/*")] for c in installing(file)]
    assert commands
    for command in commands:
        assert "--no-deps" in command, command
        assert "--no-build-isolation" in command, command
