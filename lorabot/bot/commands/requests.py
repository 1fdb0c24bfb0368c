"""What can be asked, and who asks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. ``owner`` is ``platform:user-id``; ``moderator`` may act on everybody's jobs."""

    owner: str
    language: str
    moderator: bool = False


@dataclass(frozen=True, slots=True)
class Train:
    """Train on the images of the draft. What is None is asked for, or has a default."""

    preset: str | None = None
    trigger: str | None = None
    base: str | None = None
    name: str | None = None
    seed: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """How a job goes; None: the newest."""

    job: str | None = None


@dataclass(frozen=True, slots=True)
class Jobs:
    """The asker's own jobs."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a job; None: the one that is under way."""

    job: str | None = None


@dataclass(frozen=True, slots=True)
class Presets:
    """What can be trained; of one preset, what to send for it."""

    preset: str | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """Throw away the photos of the draft."""


@dataclass(frozen=True, slots=True)
class Help:
    """What can be said."""


Request = Train | Status | Jobs | Cancel | Presets | Clear | Help
