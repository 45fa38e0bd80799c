"""One tuning study, any tuning service, one report."""

__version__ = "0.1.0"
