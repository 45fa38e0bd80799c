"""The names of IBM's experiments that the reader and the writer share."""

from __future__ import annotations

HOME = "ibm-experiments"
REFERENCES = "training_references"
OPTIMIZATION = "hyper_parameters_optimization"
METHODS = {"random": "random", "rbfopt": "bayesian"}
"""The strategy of each method that worked, according to IBM's page."""
OTHER_METHODS = ("hyperband", "bandit")
"""Methods that only the swagger model has."""
RANGES = {"double_range": "float", "int_range": "int"}
LISTS = {"double_values": float, "int_values": int, "string_values": str}
VALUES = ("string_value", "double_value", "int_value")
"""The value of a method's parameter, by its type."""
STORAGES = ("training_data_reference", "training_results_reference")
SECRETS = ("access_key_id", "secret_access_key")
"""The keys in the connection to a storage."""
