"""Booleans whose environment variable a script compares with another text than ``True``."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.planning.planner import plan
from cloudtune.study.study import Study

PYTHON = [
    ("if os.environ['AMP'] == 'true': go()", True),
    ("amp = os.environ.get('AMP', 'false') == \"true\"", True),
    ("amp = os.getenv('AMP', '0') in ('1', 'true', 'yes')", True),
    ("text = os.environ['AMP']\nif text != 'no': go()", True),
    ("if os.environ.get('AMP'): go()", True),
    ("amp = bool(os.environ['AMP'])", True),
    ("x = 1 if os.environ.get('AMP') else 2", True),
    ("amp = os.environ['AMP'] == 'True'", False),
    ("amp = os.environ['AMP'] in ('true', 'True')", False),
    ("amp = os.environ.get('AMP', '').lower() == 'true'", False),
    ("amp = strtobool(os.environ['AMP'])", False),
    ("if os.environ.get('AMP') is None: go()", False),
    ("if os.environ.get('AMP_LEVEL') == '1': go()", False),
    ("amp = json.loads(os.environ['AMP'].lower())", False),
    ("text = os.environ['AMP']\nif text == 'True': go()", False),
    ("amp = os.environ['AMP']\namp = read(amp)\nif amp: go()", False),
    ("amp = os.environ.get('AMP')\nif amp and amp.lower() == 'true': go()", False),
    ("if os.environ.get('AMP') and os.environ['AMP'] == 'True': go()", False),
    ("# if os.environ['AMP'] == 'true': go()", False),
]
SHELL = [
    ('if [ "$AMP" = "true" ]; then go; fi', True),
    ("[[ ${AMP:-false} == true ]] && go", True),
    ('test "$AMP" = 1 && go', True),
    ("if $AMP; then go; fi", True),
    ('[ -n "$AMP" ] && go --amp=$AMP', False),
    ('if [ "$AMP" = "True" ]; then go; fi', False),
    ('if [ "${AMP,,}" = True ]; then go; fi', False),
    ("python train.py --amp=$AMP", False),
    ('if [ "$AMPS" = "true" ]; then go; fi', False),
]


@pytest.mark.parametrize(
    ("file", "code", "is_misread"),
    [
        *(("train.py", code, is_misread) for code, is_misread in PYTHON),
        *(("run.sh", code, is_misread) for code, is_misread in SHELL),
    ],
)
def test_a_variable_that_is_compared_with_another_text_is_in_the_plan(
    tmp_path: Path, file: str, code: str, is_misread: bool
) -> None:
    (tmp_path / file).write_text(f"# a comment\n{code}\n")
    fields: dict[str, object] = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"AMP": {"type": "bool"}},
        "limits": {"max_trials": 2},
        "trial": {"arguments": "env"}
        | ({"script": file} if file == "train.py" else {"command": ["bash", file]}),
    }
    notes = plan(Study.model_validate(fields), "local", base=tmp_path).notes
    line = 1 + len(code.splitlines())
    expected = (
        f"{file}, line {line} compares AMP with another text than True, but the variable is "
        "True or False: compare it with True"
    )
    found = [note.text for note in notes if note.path == "parameters.AMP"]
    assert found == [expected] * is_misread
