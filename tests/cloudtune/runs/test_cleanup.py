"""Removal of the folders of runs."""

from __future__ import annotations

from pathlib import Path

from cloudtune.runs.cleanup import remove_tree


def test_everything_is_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    run = tmp_path / "run"
    for number in range(30):
        inner = run / "trials" / str(number) / "work" / "deep"
        inner.mkdir(parents=True)
        (inner / "file").touch()
        (inner.parent / "link").symlink_to(kept)
        (inner.parent / "broken").symlink_to("nowhere")
    (run / "trials" / "1" / "empty").mkdir()
    remove_tree(run)
    assert not run.exists()
    assert (kept / "file").read_text() == "kept"


def test_folders_that_cannot_be_read(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for mode in (0o000, 0o500, 0o300):
        folder = run / f"{mode:o}"
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "file").touch()
        (folder / "inner").chmod(mode)
        folder.chmod(mode)
    remove_tree(run)
    assert not run.exists()


def test_a_link_in_place_of_a_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    (tmp_path / "run").symlink_to("other")
    remove_tree(tmp_path / "run")
    remove_tree(tmp_path / "nowhere")
    assert (tmp_path / "other" / "file").exists()
