"""The version of cloudtune."""

__version__ = "0.1.0"
