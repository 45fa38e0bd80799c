"""Showing plans, runs and results to people: words, tables, progress."""
