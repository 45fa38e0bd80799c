"""The copy of a job's results on this machine."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from cloudtune_watson.jobs.launcher_contract import FAILURE, METRICS
from cloudtune_watson.jobs.results import (
    DESCRIPTION,
    DamagedResultsError,
    find_results,
    store_results,
)
from cloudtune_watson.jobs.start_script import LOG, RESULT


def packed(folder: Path, **files: str) -> Path:
    path = folder / "content"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_an_archive_is_unpacked_and_read(tmp_path: Path) -> None:
    lines = [
        json.dumps({"step": 1, "time": 5.0, "metrics": {"loss": 0.5}}),
        "not json",
        json.dumps({"step": 2, "time": 6.0, "metrics": {"loss": 0.25}}),
        '{"step": 3, "ti',
    ]
    content = packed(
        tmp_path,
        **{
            METRICS: "\n".join(lines),
            FAILURE: "too large",
            LOG: "hello",
            RESULT: json.dumps({"exit_code": 3, "started": 1.0, "ended": 2.5}),
        },
    )
    results = store_results(tmp_path / "job", {"metadata": {"id": "1"}}, content)
    assert [(m.step, dict(m.metrics), m.time) for m in results.measurements()] == [
        (1, {"loss": 0.5}, 5.0),
        (2, {"loss": 0.25}, 6.0),
    ]
    assert (results.exit_code, results.failure, results.seconds) == (3, "too large", (1.0, 2.5))
    assert Path(str(results.log)).read_text() == "hello"
    assert results.artifacts is None
    assert results.job == {"metadata": {"id": "1"}}
    assert find_results(tmp_path / "job") == results


def test_without_results_nothing_is_known(tmp_path: Path) -> None:
    assert find_results(tmp_path / "job") is None
    results = store_results(tmp_path / "job", {}, None)
    assert (results.exit_code, results.failure, results.log) == (None, "", None)
    assert (results.measurements(), results.seconds) == ([], (None, None))
    assert results.artifacts is None


def test_a_single_file_is_kept_as_it_is(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_text("{}")
    results = store_results(tmp_path / "job", {}, content)
    assert results.artifacts == str(tmp_path / "job")
    assert (tmp_path / "job" / "output").read_text() == "{}"


def test_an_interrupted_copy_does_not_count(tmp_path: Path) -> None:
    content = packed(tmp_path, a="1" * 1000)
    damaged = bytearray(content.read_bytes())
    damaged[60:80] = bytes(20)
    content.write_bytes(bytes(damaged))
    with pytest.raises(DamagedResultsError):
        store_results(tmp_path / "job", {}, content)
    assert find_results(tmp_path / "job") is None


def test_names_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    content = packed(tmp_path, **{"../outside.txt": "x"})
    store_results(tmp_path / "job", {}, content)
    assert not (tmp_path / "outside.txt").exists()


def test_a_script_cannot_replace_the_description_of_its_job(tmp_path: Path) -> None:
    content = packed(tmp_path, **{f"{DESCRIPTION}/x": "x", RESULT: '{"exit_code": 0}'})
    results = store_results(tmp_path / "job", {"metadata": {}}, content)
    assert (results.job, results.exit_code) == ({"metadata": {}}, 0)


@pytest.mark.parametrize("names", [("a" * 300,), ("a", "a/b")])
def test_names_that_this_machine_cannot_have_are_damage(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    content = packed(tmp_path, **dict.fromkeys(names, "x"))
    with pytest.raises(DamagedResultsError):
        store_results(tmp_path / "job", {}, content)


def test_an_unknown_compression_is_damage(tmp_path: Path) -> None:
    content = packed(tmp_path, a="x")
    changed = bytearray(content.read_bytes())
    entry = changed.index(b"PK\x01\x02")
    changed[8], changed[entry + 10] = 99, 99
    content.write_bytes(bytes(changed))
    with pytest.raises(DamagedResultsError):
        store_results(tmp_path / "job", {}, content)
