"""The letters of Chinese words inside pictures, for libraries that come with Latin ones alone."""

from pathlib import Path

CHINESE = Path(__file__).parent / "noto-sans-sc.otf"
"""Noto Sans CJK SC, cut down to printable ASCII and the signs that our words and presets need."""
