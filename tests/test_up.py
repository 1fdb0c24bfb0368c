"""``lorabot up`` with its real parts: one command, one lock, one end."""

import signal
import socket
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from lorabot.cli.terminal import EXIT_INTERRUPTED
from lorabot.queue.embedded import EmbeddedValkey
from lorabot.supervisor import EX_CONFIG
from tests.house import all_gone, free_port, lorabot, started

pytestmark = pytest.mark.slow


def opened(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        return "lorabot" in answer.read().decode()


def test_it_starts_everything_restarts_what_dies_and_ends_all_of_it(tmp_path: Path) -> None:
    port = free_port()
    data = tmp_path / "data"
    settings = {"LORABOT_DATA_DIR": str(data), "LORABOT_WEB__PORT": str(port), "LORABOT_DISCORD__TOKEN": ""}
    with started("up", cwd=tmp_path, **settings) as house:
        house.wait_for(f"The chat page is open: http://127.0.0.1:{port}")
        assert opened(port)
        assert EmbeddedValkey(data).alive

        second = lorabot("up", cwd=tmp_path, **settings)
        assert second.returncode == 1
        assert second.stderr.strip().startswith(f"lorabot already runs on {data} (process {house.process.pid})")
        assert len(second.stderr.strip().splitlines()) == 1
        assert opened(port)

        other = lorabot("up", cwd=tmp_path, LORABOT_WEB__PORT=str(port))
        assert other.returncode == 1
        assert f"Port {port} on 127.0.0.1 is taken" in other.stderr

        house.part("bot").kill()
        house.wait_for("bot was killed (SIGKILL); starting it again in 1")
        house.wait_for("The chat page is open", 2)
        assert opened(port)

        family = house.family()
        assert house.end() == 0
        house.wait_for("Everything has ended.")
        assert house.lines[-1] == "Everything has ended."
    ends = [line for line in house.lines if line.startswith("Ending ")]
    assert ends == ["Ending bot ...", "Ending trainer ..."]
    assert not any("was killed" in line for line in house.lines[house.lines.index("Ending bot ...") :])
    assert all_gone(family, 5) == []
    assert not EmbeddedValkey(data).alive
    assert f"bot: The chat page is open: http://127.0.0.1:{port}" in (data / "logs" / "lorabot.log").read_text()


def test_ctrl_c_ends_it_and_a_killed_one_leaves_nothing_that_trains_or_talks(tmp_path: Path) -> None:
    settings = {"LORABOT_DATA_DIR": str(tmp_path / "data"), "LORABOT_WEB__PORT": str(free_port())}
    with started("up", cwd=tmp_path, **settings) as house:
        house.wait_for("The chat page is open")
        parts = [child for child in house.family() if "valkey" not in child.name()]
        house.process.kill()
        house.process.wait()
        assert all_gone(parts, 60) == []
    with started("up", cwd=tmp_path, **settings) as house:  # the lock is free, and the old Valkey is used again
        house.wait_for("The chat page is open")
        family = house.family()
        assert house.end(signal.SIGINT) == 0
    assert all_gone(family, 5) == []
    assert not EmbeddedValkey(tmp_path / "data").alive


def test_settings_that_a_part_cannot_work_with_end_everything(tmp_path: Path) -> None:
    settings = {"LORABOT_TRAINER__DEVICE": "cuda:99", "LORABOT_WEB__PORT": str(free_port())}
    with started("up", cwd=tmp_path, **settings) as house:
        assert house.process.wait(150) == 78
        house.wait_for("cuda:99")
        house.wait_for("trainer can't work with these settings")
        family = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(tmp_path)]
    assert all_gone(family, 5) == []


@pytest.mark.parametrize(
    "exposed", [{"LORABOT_WEB__HOST": "0.0.0.0"}, {"LORABOT_WEB__PUBLIC_URL": "https://lora.example"}]
)
def test_a_web_chat_open_to_all_is_refused_before_anything_is_started(tmp_path: Path, exposed: dict[str, str]) -> None:
    done = lorabot("up", cwd=tmp_path, LORABOT_WEB__PORT=str(free_port()), **exposed)
    assert (done.returncode, done.stdout) == (EX_CONFIG, "")
    (line,) = done.stderr.splitlines()
    assert "LORABOT_WEB__PASSWORD" in line
    assert list(tmp_path.iterdir()) == []


def test_a_bot_whose_port_is_taken_may_be_started_again_as_wrong_settings_may_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = lorabot("bot", cwd=tmp_path, LORABOT_WEB__PORT=str(port))
    assert done.returncode == 1
    assert f"listens on 127.0.0.1:{port} already" in done.stderr
    units = list((Path(__file__).parents[1] / "deploy" / "systemd").glob("*.service"))
    assert units
    for unit in units:
        lines = unit.read_text().splitlines()
        assert {"Restart=on-failure", f"RestartPreventExitStatus={EX_CONFIG}"} <= set(lines), unit.name


def test_the_parts_also_run_alone(tmp_path: Path) -> None:
    port = free_port()
    settings = {"LORABOT_WEB__PORT": str(port)}
    with started("bot", cwd=tmp_path, **settings) as bot:
        bot.wait_for("The chat page is open")
        with started("trainer", cwd=tmp_path, **settings) as trainer:
            trainer.wait_for("is ready on")
            assert trainer.end() == 0
        assert "lorabot's own page answers there" in lorabot("doctor", cwd=tmp_path, **settings).stdout
        assert opened(port)
        assert bot.end() == 0
    assert not EmbeddedValkey(tmp_path / "lorabot-data").alive


def test_a_demo_that_falls_down_says_so_and_keeps_its_log(tmp_path: Path) -> None:
    done = lorabot("demo", cwd=tmp_path, LORABOT_TRAINER__DEVICE="cuda:99", LORABOT_WEB__PORT="99999")
    assert done.returncode == 1
    assert "lorabot ended in the middle of the demo (exit code 78)." in done.stderr
    assert "cuda:99" in done.stderr
    assert [path.name for path in (tmp_path / "demo-out").iterdir()] == ["lorabot.log"]
    left = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(tmp_path)]
    assert all_gone(left, 5) == []


def test_a_demo_that_is_told_to_end_clears_everything_away(tmp_path: Path) -> None:
    with TemporaryDirectory() as temporary:  # a short path: Valkey's socket lies in it
        with started("demo", cwd=tmp_path, TMPDIR=temporary, LORABOT_TRAINER__DEVICE="cpu") as house:
            house.wait_for("bot |")
            family = house.family()
            assert house.end() == EXIT_INTERRUPTED
        assert list(Path(temporary).glob("lorabot-demo-*")) == []
    assert all_gone(family, 5) == []
