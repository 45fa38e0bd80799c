"""The help of ``cloudtune init`` lists the templates that there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudtune.cli import templates
from cloudtune.cli.main_group import cloudtune


def help_text() -> str:
    done = CliRunner().invoke(cloudtune, ["init", "--help"])
    assert done.exit_code == 0
    return " ".join(done.output.split())


def test_the_templates_have_a_description() -> None:
    text = help_text()
    for name, description in templates.describe_templates().items():
        assert description
        assert f"{name} {description}" in text


def test_a_new_template_is_in_the_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("plain", "description: A plain study.\n"), ("other", "name: other\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.yaml").write_text(content, "utf-8")
    monkeypatch.setattr(templates, "_templates_folder", lambda: tmp_path)
    assert "Templates: other plain A plain study. Examples:" in help_text()
