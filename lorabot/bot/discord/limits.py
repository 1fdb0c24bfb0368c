"""Discord's own limits, as its documentation gives them."""

MESSAGE_TEXT = 4000
"""Characters of all text displays of one message (Components V2)."""
BUTTON_LABEL = 80
BUTTONS_A_ROW = 5
BUTTONS = 20
"""Of at most 40 components in a message, with the rows they stand in and room for texts and files."""
GALLERY = 10
ALT = 1024
LINK = 512
CUSTOM_ID = 100
CHOICES = 25
CHOICE_TEXT = 100
FORM_FILES = 10
NONCE = 25
UPLOAD_BYTES = 10 * 1024 * 1024
"""A bot's file where no boost allows more."""
REQUEST_BYTES = 25 * 1024 * 1024
"""All files of a message together; a guild whose boosts allow larger single files allows as much in all."""
TOKEN_S = 15 * 60
"""How long an interaction can be answered."""
EDITABLE_S = 3600
"""Older messages can hardly be edited (error 30046)."""

CLOSE_TOKEN = 4004
"""The gateway closes with it on a token it does not know."""

# Error codes (https://discord.com/developers/docs/topics/opcodes-and-status-codes#json)
UNKNOWN_CHANNEL = 10003
UNKNOWN_GUILD = 10004
UNKNOWN_MESSAGE = 10008
UNKNOWN_WEBHOOK = 10015
OLD_MESSAGE = 30046
TOO_LARGE = 40005
MISSING_ACCESS = 50001
CLOSED_DM = 50007
MISSING_PERMISSIONS = 50013
TOKEN_OVER = 50027
NO_MUTUAL_GUILD = 50278
ARCHIVED_THREAD = 50083
LOCKED_THREAD = 160005
BLOCKED_BY_RULES = 200000
"""A server's own automatic moderation did not like the message."""
