"""What emulators import, also late: loaded once by the process that forks them."""

from __future__ import annotations

import gc
from contextlib import suppress
from importlib import import_module

from cloudtune.common.entry_points import find_entry_points
from cloudtune_vertex.google_sdk import import_google

with suppress(ImportError):  # an extra is not installed
    import_google("google.cloud.aiplatform_v1.types")
for _name in (
    *(f"cloudtune_{each.name}" for each in find_entry_points("cloudtune.providers")),
    *("moto.backends", "moto.cloudwatch.models", "moto.ecr.models", "moto.iam.models"),
    *("moto.logs.models", "moto.s3.responses", "moto.server", "moto.sts.models"),
    *("gcp_storage_emulator.server", "google.protobuf.json_format", "trustme"),
):
    with suppress(ImportError):
        import_module(f"{_name}.emulator.app" if _name.startswith("cloudtune") else _name)
gc.freeze()  # forks share it, and their collections of garbage pass over it
