"""Telegram's Bot API on loopback: it keeps the platform's rules, and people use it as they use the app."""

from tests.telegram.server.people import Group, Item, Person
from tests.telegram.server.serving import TelegramServer
from tests.telegram.server.world import Limits, Message, Press

__all__ = ["Group", "Item", "Limits", "Message", "Person", "Press", "TelegramServer"]
