"""Runs of several jobs: create, execute, follow, stop, resume, remove."""
