"""One typed tree of settings, read from the environment, from secret files and from lorabot.toml."""

from lorabot.settings.reading import SettingsError, load_settings
from lorabot.settings.tree import CONFIG_VARIABLE, Setting, Settings, environment_names, settings_tree

__all__ = [
    "CONFIG_VARIABLE",
    "Setting",
    "Settings",
    "SettingsError",
    "environment_names",
    "load_settings",
    "settings_tree",
]
