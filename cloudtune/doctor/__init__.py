"""Checks of a script, an account and a bundle before a run costs money."""
