"""The set-up page says what the code offers and asks for."""

from pathlib import Path

from lorabot.bot.config import TelegramConfig
from lorabot.bot.telegram.menus import MENUS
from lorabot.locale import translator

PAGE = (Path(__file__).parents[2] / "docs" / "telegram.md").read_text(encoding="utf-8")


def test_every_setting_is_named_with_its_reason() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `LORABOT_")]
    for name in TelegramConfig.model_fields:
        assert any(f"`LORABOT_TELEGRAM__{name.upper()}`" in row for row in rows), name


def test_every_command_of_the_menus_is_on_the_page() -> None:
    for names in MENUS.values():
        for name in names:
            assert f"`/{name}`" in PAGE, name


def test_what_the_page_says_is_said_so_by_the_bot() -> None:
    say = translator("en")
    assert "Telegram doesn't know the token of the bot" in say("telegram-token-refused")
    assert "I may not write in that group" in say("telegram-cannot-write")
    assert say("telegram-train") == "Train"


def test_every_picture_is_there_and_small() -> None:
    shown = [part.split(")")[0] for part in PAGE.split("](images/")[1:]]
    assert len(shown) == 4
    for name in shown:
        picture = Path(__file__).parents[2] / "docs" / "images" / name
        assert 0 < picture.stat().st_size < 300_000, name
