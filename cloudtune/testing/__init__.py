"""The conformance kit: the tests that every provider must pass.

Subclass `ProviderContract` in a test file, return your provider from `create_provider`, and run
pytest. If the provider has an emulator, subclass `EmulatedRunContract` as well.
"""

import pytest

# For detailed messages of failed assertions.
pytest.register_assert_rewrite(
    "cloudtune.testing.provider_contract",
    "cloudtune.testing.emulated_run_contract",
    "cloudtune.testing.emulated_runs",
    "cloudtune.testing.restart_contract",
)

from cloudtune.testing.emulated_run_contract import EmulatedRunContract  # noqa: E402
from cloudtune.testing.provider_contract import ProviderContract  # noqa: E402

__all__ = ["EmulatedRunContract", "ProviderContract"]
