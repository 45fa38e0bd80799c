"""What the emulators of all providers share, and all that an emulator imports from cloudtune.

It has nothing that plans or translates a study, so that an emulator cannot share a mistake with its
provider. The names in the stub are imported when they are first used.
"""

from cloudtune.common.lazy_exports import lazy_exports

__getattr__, __dir__, _ = lazy_exports(__name__, __file__)
