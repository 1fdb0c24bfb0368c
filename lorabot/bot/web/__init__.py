"""The web front end: a chat page, its uploads and downloads, and one WebSocket a tab."""
