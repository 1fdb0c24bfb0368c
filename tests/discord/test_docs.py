"""The set-up page says what the code asks for and offers."""

from pathlib import Path

from lorabot.bot.discord.permissions import NEEDED
from lorabot.locale import translator
from tests.bot.house import House
from tests.discord.server import DiscordServer

PAGE = (Path(__file__).parents[2] / "docs" / "discord.md").read_text(encoding="utf-8")
CODES = ("view-channel", "send-messages", "send-in-threads", "attach-files")


def test_the_invitation_asks_for_the_permissions_that_the_page_explains() -> None:
    assert f"permissions={NEEDED.value}" in PAGE
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    names = [translator("en")(f"discord-permission-{code}") for code in CODES]
    assert all(any(row.startswith(f"| {name} |") for row in rows) for name in names)
    assert len(names) == sum(allowed for _, allowed in NEEDED)


async def test_every_command_is_on_the_page(discord: DiscordServer, bot: House) -> None:
    for command in discord.rest.commands.values():
        assert command["name"] in PAGE
        for option in command.get("options", ()):
            if option["type"] == 1:
                assert f"`{option['name']}`" in PAGE or f"`/queue {option['name']}`" in PAGE
