"""Readers of runs that other tools have finished: plain files, and never a pickle."""
