"""Discord: a server of ours that keeps its rules, and the front end against it."""
