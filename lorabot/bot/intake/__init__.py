"""Untrusted files: taken in under limits, looked through in a process of their own, kept as clean images."""
