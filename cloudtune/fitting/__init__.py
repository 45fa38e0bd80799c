"""Fit a study to the capabilities of a provider, and restore the values that come back."""
