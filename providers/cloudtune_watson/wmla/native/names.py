"""The names of WML Accelerator that the reader and the writer of its documents share."""

from __future__ import annotations

from cloudtune.formats import Words
from cloudtune.provider import Json

DATA = "data"
"""The part of a request with the search, and its key in ``providers.watson.native``."""
GRID = "ExperimentGridSearch"
RANDOM, BAYESIAN, TPE, HYPERBAND = "Random", "Bayesian", "Tpe", "Hyperband"
LATEST = "latest"
ALGORITHMS: dict[str, Json] = {
    RANDOM: {"name": "random"},
    BAYESIAN: {"name": "bayesian"},
    TPE: {"name": "bayesian", "method": "tpe"},
    HYPERBAND: {"name": "hyperband"},
    GRID: {"name": "list"},
}
"""The strategy of each built-in algorithm."""
METRIC, METRICS = "objectiveMetric", "additionalMetrics"
ETA = "hyperbandEta"
GOALS = ("minimize", "maximize")
SELECTS = {"minimize": "min", "maximize": "max", LATEST: "last"}
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
