"""What can be asked, and who asks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. ``owner`` is ``platform:user-id``.

    ``moderator``: may act on the jobs of the community spoken in; ``operator``: on all jobs, as the settings say.
    ``overheard``: the others of that community read the answer, so of other places it tells nothing that is not asked
    for by its name.
    """

    owner: str
    language: str
    moderator: bool = False
    operator: bool = False
    overheard: bool = False


@dataclass(frozen=True, slots=True)
class Train:
    """Train on the images of the draft. What is None is asked for, or has a default."""

    preset: str | None = None
    trigger: str | None = None
    base: str | None = None
    name: str | None = None
    seed: str | None = None


@dataclass(frozen=True, slots=True)
class Propose:
    """As ``Train``, but ask for a yes first."""

    train: Train


@dataclass(frozen=True, slots=True)
class Pick:
    """The button of a preset, or of a trigger word: ``Propose`` with these."""

    preset: str
    trigger: str | None = None
    base: str | None = None
    name: str | None = None
    seed: str | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Yes to a proposal."""

    proposal: str


@dataclass(frozen=True, slots=True)
class Drop:
    """No to a proposal."""

    proposal: str


@dataclass(frozen=True, slots=True)
class Agree:
    """Consent to the use of one's images, given at a proposal."""

    proposal: str


@dataclass(frozen=True, slots=True)
class Again:
    """Propose a job like ``job`` that learns for longer or shorter: ``way`` is ``stronger`` or ``weaker``."""

    job: str
    way: str


@dataclass(frozen=True, slots=True)
class Details:
    """Everything that can be told of a job."""

    job: str


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
class Privacy:
    """What is kept of whom, and for how long."""


@dataclass(frozen=True, slots=True)
class ForgetMe:
    """Delete everything that is kept of the asker; ``sure`` is ``yes``, or None to be asked first."""

    sure: str | None = None


@dataclass(frozen=True, slots=True)
class QueueCommand:
    """What moderators do to the queue: ``action`` is one of ``moderation.ACTIONS``, ``job`` a job or ``all``."""

    action: str | None = None
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Help:
    """What can be said."""


Request = (
    Train
    | Propose
    | Pick
    | Start
    | Drop
    | Agree
    | Again
    | Details
    | Status
    | Jobs
    | Cancel
    | Presets
    | Clear
    | Privacy
    | ForgetMe
    | QueueCommand
    | Help
)
