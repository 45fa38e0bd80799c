"""The bundle: what would be uploaded, and what of it looks like a mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from cloudtune.bundle.ignore_file import IGNORE_FILE
from cloudtune.diagnostics import Check
from cloudtune.doctor.source import shown_path
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.provider.source_size import format_folders, largest_folders
from cloudtune.study.quantities import format_bytes, format_count, format_list

_LARGE = 50_000_000
"""A source of at least so many bytes probably contains more than code."""
_MANY = 2_000
_DATA = re.compile(
    r"\.(csv|tsv|parquet|feather|arrow|npy|npz|h5|hdf5|tfrecords?|pkl|pickle|joblib|pt|pth|ckpt"
    r"|safetensors|onnx|bin|zip|tar|t?gz|bz2|xz|7z|jsonl|db|sqlite3?|mp4|wav|avi)$",
    re.IGNORECASE,
)
"""The endings of files with data and models."""
_MIN_DATA = 5_000_000
"""Data files of at least so many bytes should be an input."""
_ENVIRONMENT = re.compile(
    r"(^|/)(site-packages|dist-packages|node_modules|conda-meta|__pypackages__)/|(^|/)pyvenv\.cfg$"
)
_RESULTS = re.compile(
    r"(^|/)(wandb|mlruns|lightning_logs|tb_logs|runs|multirun|outputs)/"
    r"|(^|/)events\.out\.tfevents", re.IGNORECASE,
)  # fmt: skip
"""What experiment trackers write."""
_MIN_RESULTS = 20


def check_bundle(plan: Plan) -> Iterator[Check]:
    """Yield what a run would upload, and files of it that look like a mistake."""
    source = plan.facts.source
    sizes: dict[str, int] = {}
    if source is not None:
        sizes = {
            name: os.lstat(source / name).st_size
            for name in plan.facts.files or ()
            if os.path.lexists(source / name)
        }
    leaves = isinstance(plan.settings, CloudSettings)
    if source is not None:
        yield _summary(plan, sizes)
        problems = [*_check_environment(sizes), *_check_results(sizes), *_check_data(sizes)]
        yield from problems
        if not problems:
            yield from _check_size(sizes)
        if not leaves:  # for a service, the plan refuses them
            yield from _check_links(plan)
        if plan.facts.credentials and not leaves:
            first = plan.facts.credentials[0]
            yield _warning(
                "credentials", f"{first} looks like a credential; a run on a service refuses it",
                f"exclude it in {IGNORE_FILE}",
            )  # fmt: skip
    for name, path in plan.facts.lookup.inputs.uploads.items():
        here = os.path.relpath(path, plan.facts.base)
        message = f"input {name} is uploaded from {path if here.startswith('..') else here}"
        yield Check(severity="ok", area="bundle", id="input", message=message)


def _summary(plan: Plan, sizes: Mapping[str, int]) -> Check:
    message = f"{format_count(len(sizes), 'file')}, {format_bytes(sum(sizes.values()))}"
    bucket = plan.facts.data.get("bucket")
    if isinstance(plan.settings, CloudSettings) and isinstance(bucket, str) and "{{" not in bucket:
        message += f", to the bucket {bucket}"
    ignored = _ignored_files(plan)
    if ignored:
        message += f", without {format_list(ignored, 1)} (ignored)"
    return Check(severity="ok", area="bundle", id="bundle", message=message)


def _ignored_files(plan: Plan) -> list[str]:
    """Return the top-level entries of the source that are left out, without usual clutter."""
    source = plan.facts.source
    assert source is not None
    kept = {name.partition("/")[0] for name in plan.facts.files or ()}
    usual = re.compile(r"\..*|__pycache__|venv|node_modules|.*\.(pyc|egg-info)")
    names = (entry.name for entry in os.scandir(source))
    return sorted(name for name in names if name not in kept and not usual.fullmatch(name))


def _check_environment(sizes: Mapping[str, int]) -> Iterator[Check]:
    found = [name for name in sizes if _ENVIRONMENT.search(name)]
    if found:
        folder = _ENVIRONMENT.split(found[0])[0].strip("/") or found[0].partition("/")[0]
        top = folder.partition("/")[0]
        yield _warning(
            "environment",
            f"{format_count(len(found), 'file')} of an environment are sent, such as {found[0]}",
            f"exclude it in {IGNORE_FILE}; requirements belong in trial.requirements",
            f"echo '/{top}/' >> {IGNORE_FILE}",
        )  # fmt: skip


def _check_results(sizes: Mapping[str, int]) -> Iterator[Check]:
    found = [name for name in sizes if _RESULTS.search(name)]
    total = sum(sizes[name] for name in found)
    if len(found) >= _MIN_RESULTS or total >= _MIN_DATA:
        top = found[0].partition("/")[0]
        yield _warning(
            "results",
            f"{format_count(len(found), 'file')} of earlier experiments are sent, "
            f"{format_bytes(total)}, such as {found[0]}",
            f"exclude them in {IGNORE_FILE}", f"echo '/{top}/' >> {IGNORE_FILE}",
        )  # fmt: skip


def _check_data(sizes: Mapping[str, int]) -> Iterator[Check]:
    skip = (_ENVIRONMENT, _RESULTS)
    data = {
        n: s for n, s in sizes.items() if _DATA.search(n) and not any(e.search(n) for e in skip)
    }
    total = sum(data.values())
    if total >= _MIN_DATA:
        largest = format_folders(largest_folders(data))
        yield _warning(
            "data",
            f"{format_bytes(total)} of data or models are sent with the code: {largest}",
            f"exclude it in {IGNORE_FILE}, and give it as an input (trial.inputs), which is not "
            "copied into every trial",
        )  # fmt: skip


def _check_size(sizes: Mapping[str, int]) -> Iterator[Check]:
    total = sum(sizes.values())
    if total >= _LARGE or len(sizes) >= _MANY:
        yield _warning(
            "size",
            f"{format_count(len(sizes), 'file')} and {format_bytes(total)} are sent, most of it in "
            f"{format_folders(largest_folders(sizes))}",
            f"exclude what trials do not need in {IGNORE_FILE}",
        )  # fmt: skip


def _check_links(plan: Plan) -> Iterator[Check]:
    for name, target in plan.facts.outside_links.items():
        yield _warning(
            "outside-link", f"{shown_path(plan, name)} links to {target}, outside of the source",
            "a service has only the source: copy the file, or give it as an input",
        )  # fmt: skip


def _warning(name: str, message: str, fix: str, command: str = "") -> Check:
    return Check(
        severity="warning", area="bundle", id=name, path="trial.source", message=message, fix=fix,
        command=command,
    )  # fmt: skip
