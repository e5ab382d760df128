"""What is done with edits apart from making them: here, how fast and how lean they are."""
