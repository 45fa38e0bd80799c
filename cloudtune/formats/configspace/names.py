"""The names of ConfigSpace that its reader and its writer share."""

from __future__ import annotations

HOME = "configspace"
FORMAT_VERSION = 0.4
RANGES = {"uniform_float": "float", "uniform_int": "int"}
REFUSED = {
    **dict.fromkeys(("normal_float", "normal_int"), "normal"),
    **dict.fromkeys(("beta_float", "beta_int"), "beta"),
}
TYPES = frozenset([*RANGES, *REFUSED, "categorical", "ordinal", "constant", "unparametrized"])
MAX_VALUES = 100
"""The integers between which a condition can compare."""
