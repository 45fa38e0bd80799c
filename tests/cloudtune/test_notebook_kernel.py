"""The page on functions, run in the kernel of a notebook."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "functions.md"


def run_cells(cells: list[str], folder: Path) -> list[Any]:
    """Return the outputs of each cell. Without the packages, skip; in CI, which has them, fail."""
    if not os.environ.get("CI"):
        pytest.importorskip("nbclient")
        pytest.importorskip("ipykernel")
    from nbclient import NotebookClient
    from nbformat import v4

    v4_any: Any = v4
    notebook = v4_any.new_notebook(cells=[v4_any.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        notebook, timeout=300, allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return [cell.outputs for cell in notebook.cells]


def shown(outputs: Any) -> dict[str, str]:
    """Return the representations that a cell shows, and its errors."""
    texts: dict[str, str] = {}
    for each in outputs:
        if each.output_type == "error":
            texts["error"] = f"{each.ename}: {each.evalue}"
        elif each.output_type in {"execute_result", "display_data"}:
            texts |= each.data
    return texts


@pytest.mark.slow
def test_the_page_on_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    page = PAGE.read_text("utf-8")
    cells = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    message = re.findall(r"```text\n(.*?)\n```", page, re.DOTALL)
    outputs = run_cells(cells, tmp_path)
    *tuned, best, report, script = map(shown, outputs)
    assert tuned == [{}] * len(tuned)
    assert "accuracy" in best["text/html"]
    assert report["text/html"].startswith("<iframe")
    assert [each.output_type for each in outputs[-2]] == ["execute_result"]
    assert report["text/plain"].startswith("train: maximize accuracy\n")
    assert script == {"error": f"UsageError: {message[0]}"}


TUNE = """
import cloudtune
def loss(x, y):
    return {"loss": (x - 0.3) ** 2 + y}
run = cloudtune.tune(
    loss,
    {"x": cloudtune.float(0, 1), "y": cloudtune.float(0, 1)},
    objective={"metric": "loss", "goal": "minimize"},
    strategy={"name": "bayesian", "method": "tpe"},
    max_trials=4,
    show=False,
)
"""
EXPORT = "run.results().to_optuna('optuna.db')"
WARN = "import warnings; warnings.warn('a warning of the user', stacklevel=1)"


@pytest.mark.slow
@pytest.mark.parametrize("cells", [[TUNE, WARN], [TUNE.replace("tpe", "gp"), EXPORT, WARN]])
def test_only_the_warnings_of_the_user_are_shown(
    cells: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    *outputs, warned = run_cells(cells, tmp_path)
    kinds = {each.output_type for cell in outputs for each in cell}
    assert not kinds & {"stream", "error"}
    assert "a warning of the user" in warned[0].text
