"""Triton's kernels of the fast way, and how they are compiled before they are needed. Nothing in here imports torch:
what compiles is up in half a second."""
