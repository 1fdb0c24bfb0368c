"""The command line says what it does, in one line where it can't, and loads only what it needs."""

import json
import logging
import re
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorabot.cli.logs import configure, redact
from lorabot.cli.terminal import EXIT_INTERRUPTED, terminal_language
from lorabot.presets import load_presets
from tests.house import all_gone, clean_environment, free_port, lorabot, started
from tests.trainer.bases.files import write_header
from tests.trainer.bases.test_detection import WHOLE

COMMANDS = ("up", "demo", "train", "bot", "trainer", "presets", "doctor")


def photos(path: Path, count: int) -> Path:
    """A zip of small pictures that differ."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            noise = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
            with archive.open(f"photo {number}.png", "w") as file:
                Image.fromarray(noise).resize((160, 160)).save(file, "PNG")
    return path


@pytest.mark.parametrize(("language", "word"), [("en", "Run everything"), ("zh-CN", "全部组件")])
def test_the_help_names_every_command_in_the_operators_language(tmp_path: Path, language: str, word: str) -> None:
    done = lorabot("--help", cwd=tmp_path, LORABOT_LANGUAGE=language)
    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS)
    assert word in done.stdout
    assert "cli-" not in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (("--help",), "损坏及其修复办法。"),
        (("train", "--help"), "没有就用 demo。"),
        (("presets",), "或已征得对方同意的照片"),
    ],
)
def test_chinese_texts_are_whole_on_a_terminal_of_80_columns(
    tmp_path: Path, arguments: tuple[str, ...], last: str
) -> None:
    done = lorabot(*arguments, cwd=tmp_path, LORABOT_LANGUAGE="zh-CN", COLUMNS="80")
    assert done.returncode == 0
    assert "…" not in done.stdout
    assert last in "".join(line.strip() for line in done.stdout.splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    done = lorabot(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "cli-help" not in done.stdout
    assert "--parent" not in done.stdout


def test_the_help_loads_nothing_heavy(tmp_path: Path) -> None:
    script = """
import sys
from lorabot.cli.app import run
code = run(["--help"])
heavy = {"torch", "aiohttp", "sqlalchemy", "arq", "redis", "PIL", "numpy", "discord", "telegram", "pydantic_settings"}
print(code, sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        (
            ("lorabot.cli.parts", "lorabot.cli.up", "lorabot.bot.run", "lorabot.bot.intake.decoder"),
            {"torch", "diffusers", "peft", "open_clip", "transformers", "accelerate", "matplotlib"},
        ),
        (
            ("lorabot.cli.parts", "lorabot.trainer.daemon"),
            {"torch", "diffusers", "peft", "open_clip", "transformers", "aiohttp", "discord", "telegram"},
        ),
        (("lorabot.trainer.engine",), {"aiohttp", "discord", "telegram", "sqlalchemy", "arq"}),
    ],
    ids=["bot", "trainer", "engine"],
)
def test_a_process_loads_no_library_of_the_other_side(modules: tuple[str, ...], forbidden: set[str]) -> None:
    script = f"import sys, {', '.join(modules)}; print(sorted({forbidden!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_wrong_command_line_ends_with_2(tmp_path: Path) -> None:
    assert lorabot("dance", cwd=tmp_path).returncode == 2
    assert lorabot("train", "photos.zip", cwd=tmp_path).returncode == 2


def test_the_version_is_told(tmp_path: Path) -> None:
    assert lorabot("--version", cwd=tmp_path).stdout.startswith("lorabot 0.")


@pytest.mark.parametrize("command", ["up", "bot", "trainer", "doctor", "presets"])
def test_wrong_settings_are_one_line_and_exit_78(tmp_path: Path, command: str) -> None:
    done = lorabot(command, cwd=tmp_path, LORABOT_WEB__PORT="99999")
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr == 'LORABOT_WEB__PORT is "99999", but it must be a whole number from 0 to 65535.\n'


def test_a_settings_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('language = "zh-CN"\n')
    assert "动漫角色" in lorabot("--config", "mine.toml", "presets", cwd=tmp_path).stdout
    assert lorabot("--config", "nowhere.toml", "presets", cwd=tmp_path).returncode == 78


def test_presets_are_listed_and_one_is_shown_in_full(tmp_path: Path) -> None:
    listed = lorabot("presets", cwd=tmp_path)
    assert listed.returncode == 0
    assert "ink-landscape" in listed.stdout
    assert "5 to 60 images, best 15" in listed.stdout
    shown = lorabot("presets", "Pixel Art", cwd=tmp_path)
    assert shown.returncode == 0
    assert "text_encoder_lr" in shown.stdout
    assert "{trigger}" in shown.stdout
    assert "caption.vocabulary" in shown.stdout
    # Prompts stand whole below the numbers.
    lines = shown.stdout.splitlines()
    recipes = load_presets().get("pixel-art").recipes
    assert all(f"    {prompt}" in lines for recipe in recipes.values() for prompt in recipe.sample_prompts)
    preserve = recipes["demo"].preserve
    assert preserve is not None
    assert all(f"    {prompt}" in lines for prompt in preserve.prompts)


def test_base_models_are_listed_with_where_they_are_and_whether_they_will_do(tmp_path: Path) -> None:
    write_header(tmp_path / "good.safetensors", WHOLE["sdxl"])
    (tmp_path / "bad.ckpt").write_bytes(b"PK\x03\x04")
    (tmp_path / "lorabot.toml").write_text(
        '[[bases]]\nid = "good"\ntitle = "Good one"\nsource = "./good.safetensors"\n'
        '[[bases]]\nid = "bad"\ntitle = "Bad one"\nsource = "./bad.ckpt"\n'
    )
    done = lorabot("bases", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 1
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "built-in" in rows["demo"]
    assert all(word in rows["good"] for word in ("Good one", "sdxl", "./good.safetensors", "ok"))
    assert "is a pickle" in rows["bad"]


def test_what_is_downloaded_first_makes_the_data_folder_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "lorabot.toml").write_text(
        '[[bases]]\nid = "far"\ntitle = "Far"\nsource = "org/far"\nfamily = "sdxl"\n'
    )
    done = lorabot("bases", "--download", cwd=tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert stat.S_IMODE((tmp_path / "lorabot-data").stat().st_mode) == 0o700


def test_an_unknown_preset_is_answered_with_the_nearest(tmp_path: Path) -> None:
    done = lorabot("presets", "anmie", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'There is no preset "anmie". Did you mean anime?\n'


def test_a_broken_preset_of_the_operator_is_named_and_the_exit_code_is_1(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "robot.yaml").write_text("id: robot\ntitel: {en: Robot, zh: 机器人}\n")
    done = lorabot("presets", cwd=tmp_path, LORABOT_PRESETS_DIR="mine")
    assert done.returncode == 1
    assert "anime" in done.stdout
    said = "mine/robot.yaml:2: titel: is not a field; did you mean title?"
    assert done.stderr.count(said) == 1
    wished = lorabot("presets", "robot", cwd=tmp_path, LORABOT_PRESETS_DIR="mine")
    assert (wished.returncode, wished.stderr.count(said)) == (1, 1)
    assert 'There is no preset "robot"' in wished.stderr


def test_an_unforeseen_error_is_one_line_and_its_traceback_is_in_a_file(tmp_path: Path) -> None:
    odd = {"LORABOT_DATA_DIR": "s3cr3t-token", "LORABOT_DISCORD__TOKEN": "s3cr3t-token"}
    (tmp_path / "s3cr3t-token" / "lorabot.lock").mkdir(parents=True)
    done = lorabot("up", cwd=tmp_path, **odd)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "IsADirectoryError" in line
    record = (tmp_path / "s3cr3t-token" / "logs" / "errors.log").read_text()
    assert "Traceback" in record
    assert "s3cr3t-token" not in record
    shown = lorabot("--debug", "up", cwd=tmp_path, **odd).stderr
    assert "Traceback" in shown
    assert "s3cr3t-token" not in shown.partition("Something went wrong")[0]


@pytest.mark.parametrize("command", ["up", "trainer"])
def test_a_data_folder_that_takes_no_files_is_named_with_its_setting(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")
    done = lorabot(command, cwd=tmp_path, LORABOT_DATA_DIR="file/data")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "file/data" in line
    assert "LORABOT_DATA_DIR" in line


def test_a_database_that_is_none_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG" * 1000)
    done = lorabot("up", cwd=tmp_path, LORABOT_DATABASE_URL="sqlite:///photo.png")
    assert done.returncode == 78
    assert "file is not a database" in done.stderr.splitlines()[-1]
    assert "nobody foresaw" not in done.stderr


def test_an_operator_reads_why_the_database_cannot_be_used(tmp_path: Path) -> None:
    url = f"postgresql://me:s3cr3t@127.0.0.1:{free_port()}/lorabot"
    done = lorabot("up", cwd=tmp_path, LORABOT_DATABASE_URL=url)
    assert done.returncode == 1
    assert "Connect call failed" in done.stderr.splitlines()[-1]
    assert "LORABOT_DATABASE_URL" in done.stderr.splitlines()[-1]
    assert "s3cr3t" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere.zip", "--preset", "anime", "--trigger", "zuri"), "nowhere.zip"),
        (("two.zip", "--preset", "anmie", "--trigger", "zuri"), "Did you mean anime?"),
        (("two.zip", "--preset", "anime", "--trigger", "cat"), "cat"),
        (("two.zip", "--preset", "anime", "--trigger", "zü ri!"), "zuri"),
        (("two.zip", "--preset", "anime", "--trigger", "zuri", "--base", "sdxl"), "no base model `sdxl`"),
        (("two.zip", "--preset", "anime", "--trigger", "zuri"), "Please add 3 more."),
        (("text.txt", "--preset", "anime", "--trigger", "zuri"), "text.txt"),
        (("bare", "--preset", "anime", "--trigger", "zuri"), "bare holds no files"),
        (("two.zip", "--preset", "anime", "--trigger", "zuri", "--base", "mine"), "mine.safetensors is no safetensors"),
        (("six.zip", "--preset", "anime", "--trigger", "zuri", "--out", "text.txt"), "put into text.txt: File exists"),
    ],
    ids=["no photos", "preset", "word", "odd trigger", "base", "too few", "no picture", "empty", "bad base", "out"],
)
def test_a_training_that_cannot_be_done_is_refused_in_words(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    photos(tmp_path / "two.zip", 2)
    photos(tmp_path / "six.zip", 6)
    (tmp_path / "text.txt").write_text("no picture")
    (tmp_path / "bare").mkdir()
    (tmp_path / "mine.safetensors").write_text("no model")
    (tmp_path / "lorabot.toml").write_text("[[bases]]\nid = 'mine'\ntitle = 'M'\nsource = './mine.safetensors'")
    done = lorabot("train", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "nobody foresaw" not in done.stderr
    assert not (tmp_path / "lora-out").exists()


def reported(folder: Path, name: str) -> Path:
    """A folder that holds the report of the LoRA ``name``."""
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"job": {"name": name}}))
    return folder


def test_the_results_of_another_lora_are_not_overwritten(tmp_path: Path) -> None:
    photos(tmp_path / "two.zip", 2)
    arguments = ("train", "two.zip", "--preset", "anime", "--trigger", "zuri")
    reported(tmp_path / "shared", "mokka")
    done = lorabot(*arguments, "--out", "shared", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "shared holds the results of another LoRA, and this training would overwrite them. "
        "Name another folder with --out.\n"
    )
    # A name of its own makes it another LoRA too, and what can't be read may be anybody's.
    assert "another LoRA" in lorabot(*arguments, "--name", "zoo", "--out", "shared", cwd=tmp_path).stderr
    (tmp_path / "shared" / "report.json").write_text("[]")
    assert "another LoRA" in lorabot(*arguments, "--out", "shared", cwd=tmp_path).stderr
    # The same one is made again: it gets as far as counting the photos.
    reported(tmp_path / "own", "zuri")
    assert "Please add 3 more." in lorabot(*arguments, "--out", "own", cwd=tmp_path).stderr


def test_each_lora_gets_a_folder_of_its_own_unless_told(tmp_path: Path) -> None:
    photos(tmp_path / "two.zip", 2)
    arguments = ("train", "two.zip", "--preset", "anime", "--trigger", "zuri")
    reported(tmp_path / "lora-out", "mokka")  # from when all shared one
    assert "Please add 3 more." in lorabot(*arguments, cwd=tmp_path).stderr
    reported(tmp_path / "lora-out" / "My-cat", "mokka")
    assert (
        "lora-out/My-cat holds the results of another LoRA"
        in lorabot(*arguments, "--name", "My cat!", cwd=tmp_path).stderr
    )
    assert "lora-out/NAME" in lorabot("train", "--help", cwd=tmp_path).stdout


def test_a_base_whose_file_is_none_is_left_out_in_words(tmp_path: Path) -> None:
    photos(tmp_path / "two.zip", 2)
    (tmp_path / "mine.safetensors").write_text("no model")
    (tmp_path / "lorabot.toml").write_text("[[bases]]\nid = 'mine'\ntitle = 'M'\nsource = './mine.safetensors'")
    done = lorabot("train", "two.zip", "--preset", "anime", "--trigger", "zuri", "--base", "mine", cwd=tmp_path)
    warning, sentence = done.stderr.splitlines()
    assert warning.endswith(f"base model mine left out, whose family is not stated: {sentence}")
    assert "base-not-safetensors" not in done.stderr


def test_a_trigger_is_made_up_unless_told(tmp_path: Path) -> None:
    photos(tmp_path / "two.zip", 2)
    done = lorabot("train", "two.zip", "--preset", "anime", cwd=tmp_path)
    assert re.search(r"what is learnt: [a-z]{5} \(`--trigger`", done.stdout)
    assert "Please add 3 more." in done.stderr


def test_a_folder_that_holds_far_more_than_photos_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "home" / "below").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "home" / "below" / f"{number}.txt").write_text("not a photo")
    arguments = ("train", "home", "--preset", "anime", "--trigger", "zuri")
    done = lorabot(*arguments, cwd=tmp_path, LORABOT_INTAKE__MAX_ZIP_ENTRIES="2")
    assert done.returncode == 1
    assert "home holds more than 2 files or 2,048 MB." in done.stderr


def test_a_file_of_the_folder_that_nobody_can_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "odd.jpg").symlink_to("/proc/self/mem")
    done = lorabot("train", "photos", "--preset", "anime", "--trigger", "zuri", cwd=tmp_path)
    assert done.returncode == 1
    assert "odd.jpg can't be read: Input/output error." in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_training_that_is_told_to_end_leaves_no_photos_behind(tmp_path: Path, number: signal.Signals) -> None:
    photos(tmp_path / "six.zip", 6)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    arguments = ("train", "six.zip", "--preset", "anime", "--trigger", "zuri")
    with started(*arguments, cwd=tmp_path, TMPDIR=str(temporary), LORABOT_TRAINER__DEVICE="cpu") as house:
        deadline = time.monotonic() + 60
        while len(list(temporary.glob("lorabot-*"))) < 2:  # the photos', and that of the training
            assert time.monotonic() < deadline, "\n".join(house.lines)
            time.sleep(0.02)
        family = house.family()
        assert house.end(number) == EXIT_INTERRUPTED
    assert list(temporary.glob("lorabot-*")) == []
    assert all_gone(family, 5) == []
    assert not any("Traceback" in line for line in house.lines)
    assert any("Stopped. Nothing that was learnt is kept" in line for line in house.lines)
    assert not (tmp_path / "lora-out" / "zuri").exists()
    assert stat.S_IMODE((tmp_path / "lorabot-data").stat().st_mode) == 0o700


@pytest.mark.slow
def test_a_folder_of_photos_becomes_a_lora(tmp_path: Path) -> None:
    with zipfile.ZipFile(photos(tmp_path / "photos.zip", 6)) as archive:
        archive.extractall(tmp_path / "photos")
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "quick.yaml").write_text(_quick_preset(), encoding="utf-8")
    done = lorabot(
        *("train", "photos", "--preset", "quick", "--trigger", "zuri", "--seed", "7", "--out", "out"),
        cwd=tmp_path,
        LORABOT_PRESETS_DIR="presets",
        LORABOT_TRAINER__SAMPLE_ROUNDS="0",
        LORABOT_TRAINER__VALIDATIONS="1",
        LORABOT_TRAINER__DEVICE="cpu",
    )
    assert done.returncode == 0, done.stderr
    assert "broken.png" in done.stderr
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"zuri.safetensors", "zuri.tfevents", "loss.png", "samples.png", "report.json", "report.md"}
    assert all(name in done.stdout for name in made)
    assert json.loads((tmp_path / "out" / "report.json").read_text())


def _quick_preset() -> str:
    import lorabot.presets

    text = (Path(lorabot.presets.__file__).parent / "anime.yaml").read_text(encoding="utf-8")
    demo = text[: text.index("  sd15:")].replace("id: anime", "id: quick")
    lines = []
    for line in demo.splitlines():
        name = line.strip().partition(":")[0]
        quick = {"views": "8", "sample_steps": "2", "pictures": "2"}.get(name)
        lines.append(f"{line.partition(name)[0]}{name}: {quick}" if quick else line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-CN"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LORABOT_LANGUAGE": "en"}, "en"),
        ({"LANG": "en_US.UTF-8", "LORABOT_LANGUAGE": "zh-CN"}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh-CN"),
    ],
)
def test_the_terminals_language_is_the_operators(environment: dict[str, str], language: str) -> None:
    assert terminal_language(environment) == language


def test_no_secret_reaches_the_logs(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure("info", ("s3cr3t-token", "s3cr3t"))
        logging.getLogger("lorabot.any").warning("calling %s", "https://api/bots3cr3t-token/getMe")
        try:
            raise ValueError("s3cr3t")
        except ValueError:
            logging.getLogger("lorabot.any").exception("it failed")
        logging.getLogger("httpx").info("GET https://api.telegram.org/bot123/getMe")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    written = capsys.readouterr().err
    assert "calling https://api/bot***/getMe" in written
    assert "ValueError: ***" in written
    assert "s3cr3t" not in written
    assert "telegram" not in written


def test_longer_secrets_are_crossed_out_first() -> None:
    assert redact("abcdef abc abcd", ["abcd", "abcdef", "abc"]) == "*** abc ***"
