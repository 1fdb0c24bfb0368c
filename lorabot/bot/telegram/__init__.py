"""Telegram: photos, typed words and pressed buttons in; one card a job, answers and files out."""
