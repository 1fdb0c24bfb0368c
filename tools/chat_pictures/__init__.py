"""Pictures of conversations for the docs: what was really sent, in the dress of the chat it was sent to."""
