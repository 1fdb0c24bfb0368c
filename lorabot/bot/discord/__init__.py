"""Discord as a front end: interactions in, messages out. It translates; what can be asked is in ``bot.commands``."""
