"""The emulator on a machine that lets nobody mount anything."""

from __future__ import annotations

import os
import runpy

from cloudtune_vertex.emulator import namespace

namespace.MOUNT_POINT = os.environ.get("TEST_GCS", namespace.MOUNT_POINT)
namespace.is_supported = lambda: False  # type: ignore[assignment]
runpy.run_module("cloudtune_vertex.emulator", run_name="__main__")
