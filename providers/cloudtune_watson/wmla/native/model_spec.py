"""Reads and writes the arguments with which WML Accelerator starts a trial."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from cloudtune.formats import Fields, compact, parse_number
from cloudtune.provider import Json
from cloudtune_watson.settings import NAME

MAIN = "--model-main"
_META = "--cs-datastore-meta"
_STORE = "type=fs"
_DATA = ",data_path="


def read_model(search: Fields, trial: Json, settings: Json) -> None:
    """Add what the specification of the model says to a trial and to the settings.

    The code is uploaded with a search. The arguments stay as they are unless it is here.
    """
    model = search.map("modelSpec")
    settings |= compact(instance_group=model.text("sigName"))
    text: Any = model.peek("args")
    if not isinstance(text, str):
        model.text("args")
        model.warn("args", "absent: nothing says what a trial runs")
        return
    words = _split(text)
    script = next((word for before, word in pairwise(words) if before == MAIN), "")
    options = _read_options(words)
    folder = model.report.file.parent if model.report.file else None
    if options is not None and folder is not None and script and (folder / script).is_file():
        model.take("args")
        settings |= compact(
            exec_start=options.get("--exec-start"),
            worker_devices=_count(options.get("--workerDeviceNum")),
        )
        path = str(options.get(_META, "")).partition(_DATA)[2]
        trial |= compact(
            script=script,
            args=words[words.index(script) + 1 :],
            inputs={"data": {NAME: path}} if path else {},
        )
        return
    code = f"the code {script}" if script else "the code"
    text = (
        f"{code} is uploaded with the search, and is not here: put it next to this file "
        "and import again, or name it with trial.source and trial.script"
    )
    model.warn("args", text)


def write_options(exec_start: str | None, devices: int | None, path: str | None) -> list[str]:
    """Return the words before the script."""
    return [
        *(("--exec-start", exec_start) if exec_start else ()),
        *(("--workerDeviceNum", str(devices)) if devices is not None else ()),
        *(_META, f"{_STORE}{_DATA}{path}" if path else _STORE),
    ]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _read_options(words: Sequence[str]) -> Json | None:
    """Return the options before the script; None if the same words cannot be written again."""
    if MAIN not in words:
        return None
    before = words[: words.index(MAIN)]
    if len(before) % 2:
        return None
    options = dict(zip(before[::2], before[1::2], strict=True))
    meta = str(options.get(_META, ""))
    path = meta.partition(_DATA)[2]
    devices = _count(options.get("--workerDeviceNum"))
    written = write_options(options.get("--exec-start"), devices, path)
    same = dict(zip(written[::2], written[1::2], strict=True)) == options
    return (
        options
        if same and len(options) * 2 == len(before) and "{{" not in " ".join(words)
        else None
    )


def _count(value: Any) -> int | None:
    number = parse_number(value)
    return int(number) if number is not None and number >= 0 and number == int(number) else None
