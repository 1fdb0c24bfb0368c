"""What Telegram's refusals mean to us."""

from collections.abc import Iterator
from contextlib import contextmanager

from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError

from lorabot.bot.front_end import TokenRefused, TryLater, Unreachable
from lorabot.bot.telegram.pace import seconds_of

# Of https://github.com/tdlib/td and /telegram-bot-api, in lower case. Nothing of ours changes these.
_CLOSED = (
    "chat not found",
    "peer_id_invalid",
    "user_deactivated",
    "group chat was deactivated",
    "channel_private",
    "need administrator rights",
    "have no rights to send a message",
    "not enough rights to send text messages",
    "chat_write_forbidden",
    "topic_closed",
)
_MESSAGE_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
_NO_RIGHTS = ("not enough rights to send", "chat_send_photos_forbidden", "chat_send_docs_forbidden")
_TOO_LARGE = ("request entity too large", "file is too big", "file too large")
_UNFIT_PICTURE = ("image_process_failed", "photo_invalid_dimensions", "photo_save_file_invalid", "wrong type of the")


class Unavailable(ConnectionError):
    """Telegram can't be asked right now."""


@contextmanager
def understood() -> Iterator[None]:
    """Raises what delivery knows in place of the library's errors: ``TryLater``, ``Unreachable``, ``Unavailable``.

    A ``BadRequest`` that is none of these comes through: it's a mistake of ours.
    """
    try:
        yield
    except RetryAfter as error:
        raise TryLater(seconds_of(error)) from None
    except Forbidden as error:
        raise Unreachable(error.message) from None
    except InvalidToken:
        raise TokenRefused("telegram-token-refused") from None
    except BadRequest as error:
        if says(error, _CLOSED):
            raise Unreachable(error.message) from None
        raise
    except Conflict as error:
        raise Unavailable(error.message) from None
    except TelegramError as error:
        raise Unavailable(error.message) from error


def message_gone(error: BadRequest) -> bool:
    """Somebody deleted the message that was to be changed, or it is too old for it."""
    return says(error, _MESSAGE_GONE)


def topic_gone(error: BadRequest) -> bool:
    return says(error, ("message thread not found", "topic_deleted"))


def no_rights(error: BadRequest) -> bool:
    """The group does not let us send this kind of thing."""
    return says(error, _NO_RIGHTS)


def too_large(error: TelegramError) -> bool:
    return says(error, _TOO_LARGE)


def unfit_picture(error: BadRequest) -> bool:
    """Telegram can't make a photo of it."""
    return says(error, _UNFIT_PICTURE)


def unchanged(error: BadRequest) -> bool:
    return says(error, ("message is not modified",))


def too_old(error: BadRequest) -> bool:
    """The pressed button waits for its answer no longer."""
    return says(error, ("query is too old", "query id is invalid"))


def says(error: TelegramError, words: tuple[str, ...]) -> bool:
    message = error.message.lower()
    return any(word in message for word in words)
