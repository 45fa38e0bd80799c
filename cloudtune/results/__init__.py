"""What happened in a job: events, trials, objective values and tables.

The names in the stub are what a provider imports, each when it is first used.
"""

from cloudtune.common.lazy_exports import lazy_exports

__getattr__, __dir__, _ = lazy_exports(__name__, __file__)
