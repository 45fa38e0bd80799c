"""Choosing trials: one small protocol, a file a strategy."""
