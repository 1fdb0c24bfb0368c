"""Completion offers what may follow, and each offer taken is understood."""

from dataclasses import replace

import pytest

from lorabot.bot.commands import complete, parse
from lorabot.bot.commands.vocabulary import COMMANDS, MODERATING
from lorabot.locale import translator
from lorabot.presets import Bases, NamedBase
from lorabot.queue import Queue
from tests.bot.house import PRESETS
from tests.bot.platform import asked


def inserts(text: str, language: str = "en") -> list[str]:
    return [item.insert for item in complete(text, PRESETS, (), translator(language))]


@pytest.mark.parametrize(
    ("text", "offers"),
    [
        ("/tr", ["/train "]),
        ("/ca", ["/cancel "]),
        ("/trian", ["/train "]),
        ("/train pre", ["/train preset:"]),
        ("/train preset:an", ["/train preset:anime "]),
        ("/train preset:animee", ["/train preset:anime "]),
        (
            "/train anime trigger:zuri base:",
            ["/train anime trigger:zuri base:demo "],
        ),
        ("/训练 预设：anim", ["/训练 preset:anime "]),
        ("/train nothing:x", []),
        ("/nothing ", []),
        ("hello", []),
    ],
)
def test_what_may_follow_is_offered(text: str, offers: list[str]) -> None:
    assert inserts(text) == offers


def test_all_commands_are_offered_for_a_slash_and_all_presets_with_title_and_description() -> None:
    assert [insert.strip() for insert in inserts("/")] == [f"/{name}" for name in COMMANDS if name not in MODERATING]
    found = complete("/train preset:", PRESETS, (), translator("zh-CN"))
    assert [item.label for item in found] == list(PRESETS.presets)
    anime = PRESETS.get("anime")
    assert found[0].hint == f"{anime.title.zh}: {anime.description.zh}"


def test_base_models_are_offered_by_id_with_title_and_family_and_found_by_title() -> None:
    pony = NamedBase(id="pony", title="Pony Diffusion", source="./pony.safetensors", family="sdxl")
    presets = replace(PRESETS, bases=Bases([pony.of("sdxl")]))

    def offered(typed: str) -> list[tuple[str, str]]:
        found = complete(f"/train anime base:{typed}", presets, (), translator("en"))
        return [(item.label, item.hint) for item in found]

    demo, xl = ("demo", "Demo: Small built-in model"), ("pony", "Pony Diffusion: Stable Diffusion XL")
    assert offered("") == [demo, xl]
    for typed in ("po", "diffusion", "sdxl", "ponny"):
        assert offered(typed) == [xl]


def test_an_option_is_not_offered_twice() -> None:
    assert "/train preset:anime preset:" not in inserts("/train preset:anime ")
    assert "/train anime preset:" not in inserts("/train anime ")


def test_a_trigger_word_is_suggested() -> None:
    (insert,) = inserts("/train preset:anime trigger:")
    assert parse(insert, PRESETS)


async def test_own_jobs_are_offered_to_be_cancelled_by_id_and_by_name(queue: Queue) -> None:
    job = await asked(queue)
    for text in ("/cancel job:", "/cancel job:zu", "/cancel "):
        found = complete(text, PRESETS, [job], translator("en"))
        assert [item.label for item in found if item.label == job.id] == [job.id]
