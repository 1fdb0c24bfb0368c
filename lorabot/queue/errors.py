"""What can go wrong in the queue: sentences for people, and signals for workers."""

from lorabot.locale import UserError


class QueueError(UserError):
    """Anything of the queue that has a sentence of its own."""


class AlreadyQueued(QueueError):
    """The owner has as many unfinished jobs as one person may have."""

    def __init__(self, job: str, limit: int) -> None:
        super().__init__("queue-already-queued", job=job, limit=limit)


class NoSuchJob(QueueError):
    def __init__(self, job: str) -> None:
        super().__init__("queue-no-such-job", job=job)


class NotYours(QueueError):
    def __init__(self, job: str) -> None:
        super().__init__("queue-not-yours", job=job)


class AlreadyFinished(QueueError):
    """The job has ended; ``state`` says how."""

    def __init__(self, job: str, state: str) -> None:
        super().__init__("queue-already-finished", job=job, state=state)


class WrongState(QueueError):
    """What was asked can't be done to a job in this state, such as holding one that runs."""

    def __init__(self, job: str, state: str) -> None:
        super().__init__("queue-wrong-state", job=job, state=state)


class NoDraft(QueueError):
    """There are no collected images to make a dataset of."""

    def __init__(self) -> None:
        super().__init__("queue-no-draft")


class NoProposal(QueueError):
    """What was to be confirmed is gone: a day has passed, or it was dropped."""

    def __init__(self) -> None:
        super().__init__("queue-no-proposal")


class AlreadyStarted(QueueError):
    """The proposal was confirmed before; ``job`` is what came of it."""

    def __init__(self, job: str) -> None:
        super().__init__("queue-already-started", job=job)
        self.job = job


class StoreUnavailable(QueueError):
    """The database can't be reached now. Nothing was changed, or, after a broken commit, it can't be known.

    ``reason`` is for the operator, in the words of the database or the system; it holds no password.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__("queue-unavailable")
        self.reason = reason


class BlobMissing(QueueError):
    """A stored file is gone."""

    def __init__(self, key: str) -> None:
        super().__init__("queue-blob-missing", key=key)


class BlobsUnavailable(QueueError):
    """The file store can't be reached, or refuses."""

    def __init__(self) -> None:
        super().__init__("queue-blobs-unavailable")


class BadUrl(ValueError):
    """A database, Redis or blob URL that can't be used. The text never holds its password."""


class LeaseLost(Exception):
    """The attempt belongs to someone else now, or has ended. Stop at once; nothing more can be written."""


class CancelRequested(Exception):
    """The job is to be cancelled. Stop, then call ``Lease.cancelled``."""


class NewerDatabase(QueueError):
    """The database was made by a newer lorabot."""

    def __init__(self, version: str) -> None:
        super().__init__("queue-newer-database", version=version)
