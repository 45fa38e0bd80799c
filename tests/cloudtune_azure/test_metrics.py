"""Metrics that MLflow does not return."""

from __future__ import annotations

from typing import Any, cast

import pytest

from cloudtune.errors import ProviderError
from cloudtune_azure.errors import AzureError
from cloudtune_azure.runs import Runs


class _Client:
    """Fails to read the runs that are broken."""

    broken = ""

    def mlflow(self, _tracking: str, _call: str, **query: str) -> dict[str, Any]:
        if query["run_id"] == self.broken:
            raise AzureError("runs/get: no connection", retryable=True)
        return {"run": {"data": {}}}


class _Runs(Runs):
    def __init__(self, client: _Client) -> None:
        self._client = cast("Any", client)
        self._curves = {}
        self._hide = self._same

    @staticmethod
    def _same(text: str) -> str:
        return text

    def poll(self) -> None:
        for name in ("one", "two"):
            self._read(name, "azureml://", is_over=False)


def test_a_lasting_error_of_the_metrics_ends_the_run() -> None:
    """Also if it is one of a single job, so that other calls succeed in between."""
    client = _Client()
    runs = _Runs(client)
    client.broken = "two"
    for _ in range(14):
        with pytest.raises(AzureError, match=r"no connection$"):
            runs.poll()
    client.broken = ""
    runs.poll()  # a success begins a new count
    client.broken = "two"
    for _ in range(14):
        with pytest.raises(AzureError, match=r"no connection$"):
            runs.poll()
    with pytest.raises(ProviderError, match=r"no connection; gave up after 15 .*MLflow") as last:
        runs.poll()
    assert not last.value.retryable
