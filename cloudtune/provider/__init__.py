"""What a provider is, and all that a provider imports from cloudtune.

The names in the stub are imported when they are first used, so a provider costs only what it needs.
"""

from cloudtune.common.lazy_exports import lazy_exports

__getattr__, __dir__, _ = lazy_exports(__name__, __file__)
