"""The files of deploy/ hold against the validators of what reads them."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from lorabot.queue import Queue
from tests.bot.house import WEB, running_bot

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CONTAINERFILES = sorted(DEPLOY.glob("Containerfile.*"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def run(*command: str | Path) -> None:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"


def program(name: str) -> Path:
    return Path(sys.executable).parent / name


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.name)
def test_a_containerfile_passes_hadolint(path: Path) -> None:
    run(program("hadolint"), "--failure-threshold", "style", path)


def test_the_compose_file_fits_the_compose_specification() -> None:
    run(program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_every_variable_of_the_compose_file_stands_in_the_example_environment() -> None:
    import re

    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    lines = (DEPLOY / "example.env").read_text().splitlines()
    given = {line.split("=")[0] for line in lines if line and not line.startswith("#")}
    assert used == given


def test_the_compose_file_gives_only_settings_that_exist() -> None:
    from lorabot.settings import environment_names

    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    given = {name for service in services.values() for name in service.get("environment", {})}
    assert {name for name in given if name.startswith("LORABOT_")} <= set(environment_names())


def test_a_part_may_write_to_every_volume_that_it_gets() -> None:
    """Its user can't, unless the image has the folder already: an engine makes what is missing for root alone."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in ("bot", "trainer"):
        image = (DEPLOY / f"Containerfile.{name}").read_text().rpartition("\nFROM ")[2]
        for volume in services[name]["volumes"]:
            folder = volume.split(":")[1]
            made = (f"--create-home --home-dir {folder} lorabot", f"install --directory --owner=lorabot {folder}")
            assert any(how in image for how in made), f"{name}: {folder} belongs to root"


def test_the_additions_to_compose_that_the_page_shows_fit_the_specification_and_name_settings_that_exist(
    tmp_path: Path,
) -> None:
    from lorabot.settings import environment_names

    page = (DEPLOY / "README.md").read_text()
    example = tmp_path / "compose.yaml"
    example.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    services = yaml.safe_load(example.read_text())["services"]
    assert services.keys() == {"bot", "trainer"}
    given = {name for service in services.values() for name in service["environment"]}
    assert given <= set(environment_names())
    run(program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", example)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_systemd_unit_passes_systemds_own_check(path: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is not here: apt-get install systemd"
    # The check wants the program to exist; the units name where an operator will have installed it.
    unit = tmp_path / path.name
    unit.write_text(path.read_text().replace("/opt/lorabot/bin/lorabot", sys.executable))
    run(analyze, "verify", "--man=no", unit)


def test_systemd_makes_the_data_folder_for_its_owner_alone() -> None:
    for unit in UNITS:
        assert {"StateDirectory=lorabot", "StateDirectoryMode=0700"} <= set(unit.read_text().splitlines()), unit.name


def test_a_containerfile_copies_only_what_the_ignore_file_lets_through() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for path in CONTAINERFILES:
        for line in path.read_text().splitlines():
            if line.startswith("COPY ") and "--from" not in line:
                for source in line.split()[1:-1]:
                    assert source.rstrip("/") in allowed, f"{path.name}: {source} is ignored"
                    assert (ROOT / source).exists(), f"{path.name}: no {source} here"


async def test_a_bot_behind_its_password_passes_the_health_check_of_its_container(queue: Queue, tmp_path: Path) -> None:
    containerfile = (DEPLOY / "Containerfile.bot").read_text()
    check = json.loads(containerfile.partition("HEALTHCHECK ")[2].partition("CMD ")[2].splitlines()[0])
    guarded = WEB.model_copy(update={"password": SecretStr("open sesame")})
    async with running_bot(queue, tmp_path, web=guarded) as house:
        assert "http://127.0.0.1:8080/" in check[-1]
        command = [part.replace("http://127.0.0.1:8080", house.url) for part in check[1:]]
        checking = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.PIPE)
        _, said = await checking.communicate()
    assert checking.returncode == 0, said.decode()
