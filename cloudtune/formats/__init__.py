"""The configurations of other programs: read as studies, and written from studies.

The names in the stub are what a provider or another package imports for its formats, each when it
is first used.
"""

from cloudtune.common.lazy_exports import lazy_exports

__getattr__, __dir__, _ = lazy_exports(__name__, __file__)
