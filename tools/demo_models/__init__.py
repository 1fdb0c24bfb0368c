"""The picture world that the demo models know, and the scripts that build and measure those models."""
