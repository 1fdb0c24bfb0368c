"""Who waits for what, in which order; files; events. Imports no torch and no chat library."""
