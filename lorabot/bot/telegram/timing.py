"""How long the front end waits, and for what. All in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """``edit_s`` lies between two edits of a card, more in a group and after ``slow_after_s``; ``picture_s`` between
    two pictures of it, since the app blinks then.

    ``first_s`` passes before the message that keeps count appears, ``quiet_s`` without news before it counts as
    complete, ``count_edit_s`` between two states of it. ``album_s`` is what one photo of an album may come behind the
    one before: Telegram never says which one is the last. ``fetch_again_s`` are the waits before a broken download is
    tried again, ``press_s`` is how long a pressed button may look busy.
    """

    edit_s: float = 5.0
    group_edit_s: float = 10.0
    slow_edit_s: float = 15.0
    slow_after_s: float = 600.0
    picture_s: float = 20.0
    first_s: float = 0.3
    quiet_s: float = 0.8
    count_edit_s: float = 3.0
    group_count_edit_s: float = 8.0
    album_s: float = 1.5
    fetch_again_s: tuple[float, ...] = (0.5, 2.0, 6.0)
    press_s: float = 2.0
