"""The trigger word must mean nothing yet; whatever is typed, the answer holds a word that would do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorabot.bot.commands.errors import CommandError
from lorabot.bot.commands.trigger import check_trigger, is_common, made_up
from tests.bot.house import PRESETS


@pytest.mark.parametrize(
    ("typed", "word"), [("zuri", "zuri"), (" Zuri ", "zuri"), ("ｚｕｒｉ", "zuri"), ("kav0", "kav0")]
)
def test_a_made_up_word_is_taken_in_lower_case(typed: str, word: str) -> None:
    assert check_trigger(typed, PRESETS) == word


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("cat", "common"),
        ("Girls", "common"),
        ("anime", "common"),
        ("meadow", "common"),
        ("sks", "common"),
        ("my zuri", "words"),
        ("zu-ri", "odd"),
        ("祖瑞", "odd"),
        ("7zuri", "odd"),
        ("<script>", "odd"),
        ("ab", "short"),
        ("z" * 25, "long"),
    ],
)
def test_a_word_that_would_not_do_is_refused_with_the_reason(typed: str, code: str) -> None:
    with pytest.raises(CommandError) as caught:
        check_trigger(typed, PRESETS)
    assert caught.value.message.code == f"command-trigger-{code}"


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_every_suggestion_would_itself_be_taken(typed: str) -> None:
    try:
        word = check_trigger(typed, PRESETS)
    except CommandError as error:
        word = str(error.message.params["suggestion"])
    assert check_trigger(word, PRESETS) == word


def test_made_up_words_are_the_same_for_the_same_seed_and_mean_nothing() -> None:
    words = {made_up(str(seed), PRESETS) for seed in range(50)}
    assert len(words) > 45
    assert made_up("7", PRESETS) == made_up("7", PRESETS)
    assert not [word for word in words if is_common(word, PRESETS)]
