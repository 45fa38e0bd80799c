"""What a provider is, and what every provider imports from cloudtune.

The names in the stub are imported when they are first used, so a provider costs only what it needs.
What fewer providers need is in modules of its own: `account`, `call_record`, `lookup`, `secrets`,
`trial_files` and `uploads` here, and `cloudtune.formats` and `cloudtune.results`.
"""

from cloudtune.common.lazy_exports import lazy_exports

__getattr__, __dir__, _ = lazy_exports(__name__, __file__)
