"""The conformance kit: what every provider must do, ours or a third party's.

Subclass `ProviderContract` in a test file, say how the provider is made, and run pytest.
"""

from cloudtune.testing.contract import ProviderContract

__all__ = ["ProviderContract"]
