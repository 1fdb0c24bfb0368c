"""What can go wrong in the trainer: sentences for people, and the two ways to be stopped."""

from lorabot.locale import UserError


class TrainerError(UserError):
    """Anything of the trainer that has a sentence of its own. The job fails with it."""


class BadBase(TrainerError):
    """A base model's file can't be trained on; each kind of fault has a code, and so a sentence, of its own."""


class NoCard(TrainerError):
    """The settings name a card that is not there."""

    def __init__(self, device: str) -> None:
        super().__init__("trainer-no-card", device=device)


class NoImages(TrainerError):
    """A dataset without images."""

    def __init__(self) -> None:
        super().__init__("trainer-no-images")


class BrokenImage(TrainerError):
    """An image of the dataset can't be read; ``image`` is what its owner called it."""

    def __init__(self, image: str) -> None:
        super().__init__("trainer-broken-image", image=image)


class OutOfMemory(TrainerError):
    """Not even one image at a time fits."""

    def __init__(self, holders: str = "") -> None:
        if holders:
            super().__init__("trainer-out-of-memory-held", holders=holders)
        else:
            super().__init__("trainer-out-of-memory")


class DiskFull(TrainerError):
    """The work folder's disk has too little room for the training to begin."""

    def __init__(self, needed_mb: int, free_mb: int) -> None:
        super().__init__("trainer-disk-full", needed=needed_mb, free=free_mb)


class DiskTakesNoMore(TrainerError):
    """What a job has made can't be written."""

    def __init__(self, free_mb: int) -> None:
        super().__init__("trainer-disk-takes-no-more", free=free_mb)


class NeedsVelocity(TrainerError):
    """A recipe with zero terminal SNR on a base model that predicts the noise."""

    def __init__(self) -> None:
        super().__init__("trainer-needs-velocity")


class Diverged(TrainerError):
    """The loss ran away."""

    def __init__(self, step: int, first: float, now: float) -> None:
        super().__init__("trainer-diverged", step=step, first=round(first, 4), now=round(now, 4))


class NotFinite(TrainerError):
    """Too many steps gave no finite number."""

    def __init__(self, step: int, skipped: int) -> None:
        super().__init__("trainer-not-finite", step=step, skipped=skipped)


class BadResumeState(Exception):
    """A resume file that can't be gone on from: cut short, another version's, or another job's."""


class Cancelled(Exception):
    """The job is to be cancelled; nothing of it is wanted any more."""


class Suspended(Exception):
    """The engine is to stop now so that the job can go on later; what can be saved is saved."""
