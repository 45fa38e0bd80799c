"""Comparing what several jobs found: plain functions from results to plain data."""
