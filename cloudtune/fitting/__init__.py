"""Fitting a study to what a provider can hold, and restoring what comes back."""
