"""The conformance kit: what every provider must do, ours or a third party's.

Subclass `ProviderContract` in a test file, say how the provider is made, and run pytest. Where it
has an emulator, subclass `EmulatedRunContract` as well.
"""

import pytest

# So that a test that fails says what it compared.
pytest.register_assert_rewrite("cloudtune.testing.contract", "cloudtune.testing.on_emulator")

from cloudtune.testing.contract import ProviderContract  # noqa: E402
from cloudtune.testing.on_emulator import EmulatedRunContract  # noqa: E402

__all__ = ["EmulatedRunContract", "ProviderContract"]
