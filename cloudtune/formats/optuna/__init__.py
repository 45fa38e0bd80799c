"""Optuna: runs that are exported to its storages."""
