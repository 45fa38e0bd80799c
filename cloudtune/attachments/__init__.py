"""Runs from jobs that were started elsewhere."""
