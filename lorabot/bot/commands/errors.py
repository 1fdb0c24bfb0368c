"""What can be wrong with a request. Each has its own sentence that says what to do."""

from lorabot.locale import UserError


class CommandError(UserError):
    """A request that can't be carried out as it is. Nothing was changed."""
