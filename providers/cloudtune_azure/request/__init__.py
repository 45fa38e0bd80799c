"""Translates a study into the requests of jobs."""
