"""Readers of finished runs of other tools, from plain files, never from pickles."""
