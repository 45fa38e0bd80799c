"""What checks of accounts share: versions of packages and clocks."""

from __future__ import annotations

from email.utils import formatdate
from importlib import metadata

import pytest

from cloudtune.provider.account import check_clock, check_packages

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("skew", "severity"), [(0, "ok"), (59, "ok"), (-59, "ok"), (90, "warning"), (-400, "error")]
)
def test_a_clock_that_differs(skew: float, severity: str) -> None:
    date = formatdate(NOW - skew, usegmt=True)
    check = check_clock(date, 300, now=NOW)
    assert check is not None
    assert check.severity == severity
    if severity != "ok":
        assert f"{abs(skew)} seconds {'ahead of' if skew > 0 else 'behind'}" in check.message


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_without_a_date_nothing_is_known(date: str) -> None:
    assert check_clock(date, 300) is None


def test_versions_of_the_packages_of_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = [
        "click>=8.1",
        "boto3>=1.40; extra == 'sagemaker'",
        "google-cloud-storage<4,>=2.18; extra == 'vertex'",
        'new-on-3.99>=9; python_version >= "3.99" and extra == "sagemaker"',
    ]
    versions = {"boto3": "1.9.300"}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    def requires(_name: str) -> list[str]:
        return requirements

    monkeypatch.setattr(metadata, "requires", requires)
    monkeypatch.setattr(metadata, "version", version)
    (check,) = check_packages("sagemaker")
    assert check.severity == "error"
    assert check.message == "boto3 1.9.300 is installed, and cloudtune needs 1.40 or newer"
    assert check.command == "pip install --upgrade 'cloudtune[sagemaker]'"
    versions["boto3"] = "1.40.0"
    (check,) = check_packages("sagemaker")
    assert (check.severity, check.message) == ("ok", "boto3 1.40.0")
    versions["google-cloud-storage"] = "2.17"
    (check,) = check_packages("vertex")
    assert check.severity == "error"
