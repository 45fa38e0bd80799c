"""The names of WML Accelerator that the reader and the writer of its documents share."""

from __future__ import annotations

from cloudtune.provider import Json, Words

DATA = "data"
"""The part of a request with the search, and its key in ``providers.watson.native``."""
GRID = "ExperimentGridSearch"
ALGORITHMS: dict[str, Json] = {
    "Random": {"name": "random"},
    "Bayesian": {"name": "bayesian"},
    "Tpe": {"name": "bayesian", "method": "tpe"},
    "Hyperband": {"name": "hyperband"},
    GRID: {"name": "list"},
}
"""The strategy of each built-in algorithm."""
GOALS = ("minimize", "maximize")
SELECTS = {"minimize": "min", "maximize": "max", "latest": "last"}
"""Which value of an additional metric counts."""
WORDS = Words(
    strategies=ALGORITHMS,
    instead={"grid": GRID},
    plain={"random": "uniform"},
    selects=SELECTS,
)
BOUNDS = {"INT": ("minIntVal", "maxIntVal"), "DOUBLE": ("minDbVal", "maxDbVal")}
LISTS = {"INT": "discreteIntVal", "DOUBLE": "discreteDbVal", "STR": "discreateStrVal"}
"""The list of values of each type, in the service's spelling."""


def type_name(value: object) -> str:
    """Return a type of data in one spelling: INT, DOUBLE or STR, or the text itself."""
    name = str(value).upper()
    return "STR" if name == "STRING" else name
