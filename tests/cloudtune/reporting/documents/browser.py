"""A real browser for tests: the Chromium of this machine, headless."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

LONGEST = 200_000.0
"""Milliseconds in which a busy machine draws a page; the default is five seconds."""
_NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def executable() -> str:
    """Return the browser; without one the test is skipped, but fails in CI, which installs it."""
    found = os.environ.get("CLOUDTUNE_BROWSER") or next(
        filter(None, map(shutil.which, _NAMES)), None
    )
    if found:
        return found
    why = "no Chromium on the PATH; CLOUDTUNE_BROWSER names one elsewhere"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def browser() -> Generator[Browser]:
    """Run a browser."""
    path = executable()
    with sync_playwright() as playwright:
        # As root, as in a container, Chromium has no sandbox of its own.
        created = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=LONGEST
        )
        expect.set_options(timeout=LONGEST)
        try:
            yield created
        finally:
            created.close()
