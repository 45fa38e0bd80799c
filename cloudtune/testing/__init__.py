"""The conformance kit: what every provider must do, ours or a third party's.

Subclass `ProviderContract` in a test file, say how the provider is made, and run pytest. Where it
has an emulator, subclass `EmulatedRunContract` as well.
"""

import pytest

# So that a test that fails says what it compared.
pytest.register_assert_rewrite(
    "cloudtune.testing.provider_contract", "cloudtune.testing.emulated_run_contract"
)

from cloudtune.testing.emulated_run_contract import EmulatedRunContract  # noqa: E402
from cloudtune.testing.provider_contract import ProviderContract  # noqa: E402

__all__ = ["EmulatedRunContract", "ProviderContract"]
