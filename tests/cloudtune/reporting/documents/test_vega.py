"""Vega's scripts are bundled once, and a damaged or foreign copy is never used."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloudtune.reporting.documents.html.vega import vega_bundle

SCRIPT = "export const vega = '\u00e9';\r\n"


class Bundler:
    """Counts how often it bundles."""

    def __init__(self) -> None:
        self.calls = 0

    def javascript_bundle(self) -> str:
        """Return the scripts."""
        self.calls += 1
        return SCRIPT


@pytest.fixture
def bundler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bundler:
    created = Bundler()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    module = SimpleNamespace(javascript_bundle=created.javascript_bundle)
    monkeypatch.setitem(sys.modules, "vl_convert", module)
    return created


def test_the_scripts_are_bundled_once(bundler: Bundler, tmp_path: Path) -> None:
    assert [vega_bundle() for _ in range(3)] == [SCRIPT] * 3
    assert bundler.calls == 1
    (kept,) = (tmp_path / "cloudtune").iterdir()
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", [b"", b"\xff", b"x", b"\nexport const evil = 1;"])
def test_a_damaged_copy_is_replaced(bundler: Bundler, tmp_path: Path, damage: bytes) -> None:
    vega_bundle()
    (kept,) = (tmp_path / "cloudtune").iterdir()
    kept.write_bytes(damage)
    assert vega_bundle() == SCRIPT
    assert vega_bundle() == SCRIPT
    assert bundler.calls == 2


def test_a_copy_of_another_user_is_not_used(
    bundler: Bundler, monkeypatch: pytest.MonkeyPatch
) -> None:
    vega_bundle()
    monkeypatch.setattr(os, "getuid", lambda: 12_345)
    assert vega_bundle() == SCRIPT
    assert bundler.calls == 2


def test_a_cache_that_cannot_be_written_is_done_without(bundler: Bundler, tmp_path: Path) -> None:
    (tmp_path / "cloudtune").write_text("a file")
    assert vega_bundle() == SCRIPT
    assert vega_bundle() == SCRIPT
    assert bundler.calls == 2
