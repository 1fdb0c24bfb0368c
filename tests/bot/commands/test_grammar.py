"""What people type is understood, in English and in Chinese, and what is not is answered with what was meant."""

import pytest

from lorabot.bot.commands import parse, parse_action
from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.requests import Cancel, Clear, Help, Jobs, Presets, Request, Status, Train
from lorabot.bot.commands.trigger import check_trigger
from lorabot.locale import UserError, translator
from tests.bot.house import PRESETS

TRAIN = "preset, trigger, base, name, seed"


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("/train preset:anime trigger:zuri", Train("anime", "zuri")),
        ("/train anime zuri", Train("anime", "zuri")),
        ("/train trigger:zuri anime", Train("anime", "zuri")),
        ("/train anime trigger:zuri sdxl", Train("anime", "zuri", "sdxl")),
        ("/train anime trigger:zuri demmo", Train("anime", "zuri", "demmo")),
        ('/train anime trigger:"zuri" flux', Train("anime", "zuri", "flux")),
        ("/train anime zuri name:my-zuri seed:7", Train("anime", "zuri", name="my-zuri", seed="7")),
        ("/train preset: anime  trigger:  zuri", Train("anime", "zuri")),
        ("/train preset=anime, trigger=zuri", Train("anime", "zuri")),
        ('/train preset:"anime" trigger:"zuri"', Train("anime", "zuri")),
        ('/train anime "two words', Train("anime", "two words")),
        ("/TRAIN Preset:anime TRIGGER:zuri", Train("anime", "zuri")),
        ("/train@lorabot_bot anime zuri", Train("anime", "zuri")),
        ("train anime zuri", Train("anime", "zuri")),
        ("  /train  ", Train()),
        ("／train preset：anime trigger：zuri", Train("anime", "zuri")),
        ("/训练 预设：“anime”，触发词：“zuri”", Train("anime", "zuri")),
        ("/训练 anime zuri 名称:xiao", Train("anime", "zuri", name="xiao")),
        ("/train\u3000anime\u3000zuri", Train("anime", "zuri")),
        ("/status", Status()),
        ("/status job:abc", Status("abc")),
        ("/jobs", Jobs()),
        ("/取消 abc", Cancel("abc")),
        ("/presets anime", Presets("anime")),
        ("/clear", Clear()),
        ("/帮助", Help()),
        ("/start", Help()),
    ],
)
def test_a_command_is_understood(text: str, request_: Request) -> None:
    assert parse(text, PRESETS) == request_


@pytest.mark.parametrize(
    ("text", "code", "params"),
    [
        ("/trian anime", "command-unknown-near", {"command": "trian", "nearest": "train"}),
        ("/xyzzy", "command-unknown", {"command": "xyzzy"}),
        ("/retry", "command-unknown", {"command": "retry"}),
        ("/", "command-unknown", {"command": ""}),
        ("good morning", "command-just-talk", {}),
        ("", "command-just-talk", {}),
        (
            "/train presett:anime",
            "command-option-unknown-near",
            {"command": "train", "option": "presett", "nearest": "preset"},
        ),
        ("/train anime a demo c 4 e", "command-too-many", {"command": "train", "word": "e", "options": TRAIN}),
        ("/train anime zuri name:my lora", "command-too-many", {"command": "train", "word": "lora", "options": TRAIN}),
        (
            "/train anime base:demo name:rex trigger:my 7 dog",
            "command-too-many",
            {"command": "train", "word": "dog", "options": TRAIN},
        ),
        ("/presets anime pet", "command-too-many", {"command": "presets", "word": "pet", "options": "preset"}),
        ("/train preset:anime preset:pet", "command-option-twice", {"option": "preset"}),
        ("/train preset:", "command-option-empty", {"option": "preset"}),
        ("/clear all", "command-no-options", {"command": "clear"}),
        ("/clear what:all", "command-no-options", {"command": "clear"}),
        ("/train animee", "preset-unknown", {"preset": "animee", "nearest": "anime"}),
    ],
)
def test_what_is_wrong_is_named(text: str, code: str, params: dict[str, str]) -> None:
    with pytest.raises(UserError) as caught:
        parse(text, PRESETS)
    assert caught.value.message.code == code
    assert caught.value.message.params == params


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/train preset:pet trigger:my dog", "base"),
        ("/train pet my dog", "base"),
        ("/train pet trigger:my dog demo", "base"),
        ("/train trigger:my dog preset:pet", "base"),
        ("/train trigger:my dog", "preset"),
        ("/训练 预设:宠物 触发词:my dog", "base"),
    ],
)
@pytest.mark.parametrize(("language", "nothing_like_it"), [("en", "there is no"), ("zh-CN", "没有叫这个名字的")])
def test_a_second_word_behind_the_trigger_is_said_to_be_neither_part_of_it_nor_what_could_follow(
    text: str, place: str, language: str, nothing_like_it: str
) -> None:
    with pytest.raises(CommandError) as caught:
        parse(text, PRESETS)
    said = translator(language).text(caught.value.message)
    suggested = str(caught.value.message.params["suggestion"])
    assert check_trigger(suggested, PRESETS) == suggested
    assert f"`{suggested}`" in said
    assert "`dog`" in said
    assert nothing_like_it in said
    assert ("portrait" if place == "preset" else "demo") in said


@pytest.mark.parametrize(
    ("action", "request_"),
    [
        ("cancel:abc", Cancel("abc")),
        ("train:anime", Train("anime")),
        ("train:anime:zuri", Train("anime", "zuri")),
        ("jobs", Jobs()),
    ],
)
def test_a_button_asks_what_a_command_asks(action: str, request_: Request) -> None:
    assert parse_action(action) == request_


@pytest.mark.parametrize("action", ["", "explode:abc", "jobs:1", "cancel:a:b"])
def test_a_button_of_another_version_is_answered_kindly(action: str) -> None:
    with pytest.raises(CommandError, match="command-old-button"):
        parse_action(action)
