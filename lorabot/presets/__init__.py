"""The recipes a person can ask for, and their schema."""
