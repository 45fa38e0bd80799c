"""The rules for requests."""
