"""Study files in, studies or every mistake out."""

from __future__ import annotations

import json
import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.json_schema import json_schema
from cloudtune.study.loader import apply_overrides, load, loads
from cloudtune.study.study import Study
from cloudtune.study.validation.option_values import LOST_TEXT
from cloudtune.study.yaml_reader import is_list, is_map

FULL = r"""
name: digits-svc                                          # every block below may be left out
description: Which classifier reads digits best?
objective: {metric: accuracy, goal: maximize}
parameters:
  C:      {type: float, min: 1e-3, max: 1e3, scale: log}
  kernel: {type: categorical, values: [linear, rbf, poly]}
  gamma:                                                  # one name may be defined twice
  - {type: float, min: 1e-4, max: 1, scale: log, when: {kernel: rbf}}
  - {type: float, min: 1e-2, max: 1, scale: log, when: {kernel: poly}}
  degree: {type: int, min: 2, max: 5, when: {kernel: poly}}
  batch:  {type: discrete, values: [16, 32, 64]}          # ordered numbers
  shrink: {type: bool}
constants: {epochs: 20}
strategy: {name: bayesian, seed: 7}
limits: {max_trials: 40, parallel_trials: 4, timeout: 2h, trial_timeout: 10m,
         max_failed_trials: 5, patience: 15, max_cost: 25 USD}
early_stopping: {rule: median, min_step: 3}
initial_trials: [{C: 1, kernel: rbf, gamma: 0.01, batch: 32, shrink: true}]
warm_start: {from: [RUN, "sagemaker:job-name"], kind: same}
trial:
  source: .
  script: train.py
  requirements: requirements.txt
  args: [--verbose, "--data={{inputs.train}}"]
  arguments: flags
  metrics: {accuracy: 'val_acc=(\S+)', loss: ['loss: (\S+)', 'LOSS (\S+)'], f1: {}}
  inputs: {train: {local: ./data, sagemaker: {uri: s3://b/train, content_type: text/csv},
                   vertex: gs://b/train}}
  env: {OMP_NUM_THREADS: "1", HF_TOKEN: {from_env: HF_TOKEN}}
  resources: {cpus: 2, gpus: 1}
providers:
  sagemaker: {region: us-east-1, role_arn: ..., instance_type: ml.m5.xlarge,
              image: ..., spot: true, mode: auto}
  vertex: {project: ..., location: us-central1, machine_type: n1-standard-4, image: ...}
  watson: {backend: wml, url: ..., space_id: ..., hardware_spec: M, software_spec: ...}
  katib: {native: {spec: {resumePolicy: Never}}}
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(StudyError) as caught:
        loads(text, "study.yaml")
    return caught.value.problems


def only(text: str) -> Problem:
    messages = problems(text)
    assert len(messages) == 1, "\n".join(map(str, messages))
    return messages[0]


def parameter(text: str) -> Any:
    return loads(f"parameters: {{p: {text}}}").parameters["p"][0]


def test_the_full_study_of_the_design_is_read() -> None:
    study = loads(FULL)
    assert list(study.parameters) == ["C", "kernel", "gamma", "degree", "batch", "shrink"]
    assert [p.when for p in study.parameters["gamma"]] == [
        {"kernel": ["rbf"]},
        {"kernel": ["poly"]},
    ]
    assert study.limits.timeout == 7200
    assert study.limits.max_cost == (25, "USD")
    assert study.trial.metrics["f1"] == []
    assert study.trial.inputs["train"]["vertex"].uri == "gs://b/train"
    assert study.providers["katib"] == {"native": {"spec": {"resumePolicy": "Never"}}}
    assert study.notes == ()


def test_a_file_is_named_in_problems_and_gives_the_study_its_name(tmp_path: Path) -> None:
    file = tmp_path / "digits.yaml"
    file.write_text("limits: {max_trials: 3}\n")
    assert load(file).name == "digits"
    assert load(str(file)).file == str(file)
    file.write_text("\n\nlimits: {max_trials: 0}\n")
    with pytest.raises(StudyError) as caught:
        load(file)
    assert [(p.file, p.line, p.path) for p in caught.value.problems] == [
        (str(file), 3, "limits.max_trials")
    ]


def test_a_name_in_the_file_wins_over_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text("name: other\n")
    assert load(tmp_path / "digits.yaml").name == "other"


NINE = """\
objective: {metric: accuracy, goal: max}
parameters:
  lr: {type: float, min: 1, max: 0.1}
  depth: {type: int, mim: 1, max: 5}
  kind: {type: categorical, values: [a, b]}
  extra:
    type: bool
    when: {kind: c}
  wide: {type: float, min: 0, max: 1, scale: log}
limits:
  max_trials: many
  timeout: 90
initial_trials:
- {lr: 0.5, kindd: a}
trial:
  script: /train.py
"""


def test_nine_mistakes_are_nine_problems_in_one_pass() -> None:
    assert [(p.line, p.path) for p in problems(NINE)] == [
        (1, "objective.goal"),
        (3, "parameters.lr.min"),
        (4, "parameters.depth.mim"),
        (8, "parameters.extra.when.kind"),
        (9, "parameters.wide.min"),
        (11, "limits.max_trials"),
        (12, "limits.timeout"),
        (14, "initial_trials.0.kindd"),
        (16, "trial.script"),
    ]


def test_problems_suggest_a_fix() -> None:
    hints = {p.path: p.hint or p.message for p in problems(NINE)}
    assert "maximize" in hints["objective.goal"]
    assert hints["parameters.depth.mim"] == "did you mean min?"
    assert "90s" in hints["limits.timeout"]
    assert hints["initial_trials.0.kindd"] == "did you mean kind?"


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("limit: {}", "limit", "did you mean limits?"),
        ("zzz: 1", "zzz", "use one of version, name"),
        (
            "parameters: {p: {type: floot, min: 0, max: 1}}",
            "parameters.p.type",
            "did you mean float?",
        ),
        ("parameters: {p: {min: 1}}", "parameters.p.type", "one of float, int, discrete"),
        ("parameters: {p: {type: int, min: 1}}", "parameters.p.max", "is missing"),
        ("parameters: {p: 3}", "parameters.p", "a map or a list of maps"),
        ("parameters: {p: []}", "parameters.p", "must not be empty"),
        ("parameters: [1]", "parameters", "must be a map, not a list"),
        (
            "parameters: {p: {type: float, min: '1', max: 2}}",
            "parameters.p.min",
            "must be a number, not the string '1' (remove the quotes)",
        ),
        (
            "parameters: {p: {type: int, min: 1_000, max: 2000}}",
            "parameters.p.min",
            "write 1000",
        ),
        ("parameters: {p: {type: int, min: 1.0, max: 2}}", "parameters.p.min", "write 1"),
        ("parameters: {p: {type: int, min: true, max: 2}}", "parameters.p.min", "not true"),
        ("parameters: {p: {type: float, min: .nan, max: 2}}", "parameters.p.min", "finite"),
        ("parameters: {p: {type: float, min: 0, max: 1e999}}", "parameters.p.max", "finite"),
        ("parameters: {p: {type: float, low: 0, max: 1}}", "parameters.p.low", "mean min?"),
        ("parameters: {p: [{type: bool}, 3]}", "parameters.p.1", "must be a map"),
        (
            "parameters: {p: {type: float, min: 1, max: 2, scale: lgo}}",
            "parameters.p.scale",
            "did you mean log?",
        ),
        ("constants: {c: [1]}", "constants.c", "true or false, a number or a string"),
        ("constants: {c: .inf}", "constants.c", "finite"),
        ("objective: {metric: a}", "objective.goal", "is missing"),
        ("objective: 3", "objective", "a map or a list of maps"),
        ("objective: []", "objective", "must not be empty"),
        ("strategy: bayesan", "strategy", "did you mean bayesian?"),
        ("strategy: 3", "strategy", "a name or a map"),
        ("strategy: {name: random, seed: -1}", "strategy.seed", "at least 0"),
        ("strategy: {name: random, seed: 4294967296}", "strategy.seed", "less than 4294967296"),
        ("limits: {max_trials: 0}", "limits.max_trials", "must be at least 1, not 0"),
        ("limits: {timeout: soon}", "limits.timeout", "use for example 90s"),
        ("limits: {max_cost: 3}", "limits.max_cost", "for example 3 USD"),
        ("early_stopping: {min_step: 3}", "early_stopping.rule", "is missing"),
        ("early_stopping: medain", "early_stopping", "did you mean median?"),
        ("early_stopping: {rule: bandit, slack: 0}", "early_stopping.slack", "greater than 0"),
        ("initial_trials: {a: 1}", "initial_trials", "must be a list"),
        ("warm_start: {form: [a]}", "warm_start.form", "did you mean from?"),
        ("trial: {args: [1]}", "trial.args.0", 'write it in quotes: "1"'),
        ("trial: {env: {A: 1}}", "trial.env.A", 'write it in quotes: "1"'),
        ("trial: {env: {A: [x]}}", "trial.env.A", "a string or {from_env: NAME}"),
        (
            "trial: {metrics: {a: 3}}",
            "trial.metrics.a",
            "a regular expression, a list of them or {}",
        ),
        ("trial: {inputs: {a: 3}}", "trial.inputs.a", "a URI or a map"),
        ("trial: {source: 3}", "trial.source", "a folder or a map"),
        ("trial: {resources: {memory: lots}}", "trial.resources.memory", "8 GB"),
        ("trial: {arguments: flag}", "trial.arguments", "did you mean flags?"),
        ("providers: {local: 3}", "providers.local", "must be a map"),
        ("version: 2", "version", "must be 1"),
        ("name: 3", "name", "must be a string"),
    ],
)
def test_one_mistake_is_one_problem(text: str, path: str, words: str) -> None:
    problem = only(text)
    assert (problem.path, problem.line) == (path, 1)
    assert words in str(problem)


def test_no_message_mentions_pydantic() -> None:
    text = NINE + "constants: {a: [1]}\nstrategy: x\nwarm_start: 3\nearly_stopping: {slack: a}\n"
    for problem in problems(text):
        assert "input" not in str(problem).lower()
        assert "pydantic" not in str(problem)
        assert "type=" not in str(problem)


def test_consequences_of_a_mistake_are_not_reported() -> None:
    text = """
parameters:
  kind: {type: categorcial, values: [a, b]}
  depth: {type: int, min: 1, max: 5, when: {kind: a}}
  depth2: {type: int, min: one, max: 5}
strategy: {name: grid, sed: 1}
initial_trials: [{kind: a, depth: 2, depth2: 3}]
trial: {args: ["{{depth2}}"]}
"""
    assert [p.path for p in problems(text)] == [
        "parameters.kind.type",
        "parameters.depth2.min",
        "strategy.sed",
    ]


def test_conditions_of_resources_are_checked_next_to_other_mistakes_in_them() -> None:
    text = """
parameters:
  size: {type: categorical, values: [small, large]}
trial:
  resources:
  - {cpus: 0, when: {size: huge}}
  - {memory: lots, when: {sise: large}}
  - {gpus: 1, when: {size: large}}
"""
    assert [(p.path, p.line) for p in problems(text)] == [
        ("trial.resources.0.cpus", 6),
        ("trial.resources.0.when.size", 6),
        ("trial.resources.1.memory", 7),
        ("trial.resources.1.when.sise", 7),
        ("trial.resources.1", 7),
    ]


@pytest.mark.parametrize(
    "value",
    ["[[1]]", "[3, {cpus: 1}]", "{cpus: 0, when: [1]}", "[{cpus: 0, when: [1]}, {when: 3}]"],
)
def test_resources_of_a_wrong_form_are_reported(value: str) -> None:
    assert {p.path.split(".")[1] for p in problems(f"trial: {{resources: {value}}}")} == {
        "resources"
    }


def test_other_mistakes_next_to_a_misspelled_type_are_reported() -> None:
    text = """
parameters:
  a: {typ: float, min: 3, max: 1, sacle: log}
  b: {type: flaot, min: -3, max: 1, scale: log}
  c:
  - {Type: categorical, vales: [u]}
  - {type: integer, min: 1.5, max: 2}
  d: {type: colour, min: 5, max: 4}
  e: {typ: 3, min: 5, max: 4}
  f: {type: float, max: 1, <<: {min: 0}}
"""
    messages = {problem.path: str(problem) for problem in problems(text)}
    assert [*messages] == [
        *("parameters.a.typ", "parameters.a.sacle", "parameters.a.min"),
        *("parameters.b.type", "parameters.b.min"),
        *("parameters.c.0.Type", "parameters.c.0.vales"),
        *("parameters.c.1.type", "parameters.c.1.min"),
        *("parameters.d.type", "parameters.e.typ", "parameters.e.type"),
        *("parameters.f.min", "parameters.f.<<"),
    ]
    assert "did you mean type?" in messages["parameters.a.typ"]
    assert "min 3 is greater than max 1" in messages["parameters.a.min"]
    assert "did you mean float?" in messages["parameters.b.type"]
    assert "must be greater than 0 for scale: log" in messages["parameters.b.min"]
    assert "must be an integer" in messages["parameters.c.1.min"]
    assert "merge keys (<<) are not supported" in messages["parameters.f.<<"]


def test_fields_of_a_misspelled_strategy_are_checked_as_if_it_were_spelled_right() -> None:
    text = "strategy: {name: hyperbandd, resource: epochs, min: 1, max: 27, method: x}"
    assert [problem.path for problem in problems(text)] == ["strategy.name", "strategy.method"]
    text = "strategy: {name: other, resource: epochs, min: 1, max: 27, method: x}"
    assert [problem.path for problem in problems(text)] == ["strategy.name"]


def test_mistakes_below_a_misspelled_key_are_reported_in_the_same_pass() -> None:
    text = """
objectives: {metric: loss, mode: min}
paramaters:
  lr: {type: float, min: 3, max: 1, sacle: lgo}
strategey: {name: hyperbnd, maxx: 0}
limts: {n_trials: 0}
max_trials: 4
script: ../train.py
"""
    assert [(problem.line, problem.path) for problem in problems(text)] == [
        *((2, "objectives"), (2, "objective.mode"), (2, "objective.goal")),
        *((3, "paramaters"), (4, "parameters.lr.sacle"), (4, "parameters.lr.scale")),
        (4, "parameters.lr.min"),
        *((5, "strategey"), (5, "strategy.name"), (5, "strategy.maxx"), (5, "strategy.max")),
        *((6, "limts"), (6, "limits.n_trials"), (7, "max_trials")),
        *((8, "script"), (8, "trial.script")),
    ]


def test_keys_with_the_same_suggestion_are_not_corrected() -> None:
    text = "params: {a: 3}\nparamaters: {b: 4}\n"
    assert [problem.path for problem in problems(text)] == ["params", "paramaters"]
    text = "paramaters: {b: 4}\nparameters: {a: {type: bool}}\n"
    assert [problem.path for problem in problems(text)] == ["paramaters"]


KEYS: list[str] = [
    *("parameters", "paramaters", "params", "limits", "limts", "trial", "trail", "script"),
    *("max_trials", "type", "typ", "min", "low", "max", "high", "objective", "goal", "mode"),
    *("strategy", "strategey", "name", "values", "choices", "a", "args", "env", "providers"),
]


@pytest.mark.slow
@given(st.data())
def test_a_study_with_any_misspelled_keys_is_read(data: st.DataObject) -> None:
    keys = st.sampled_from(KEYS)
    leaves = st.sampled_from([None, 0, 1.5, "float", "flaot", "min", "random", "bayes", True])
    trees = st.recursive(
        leaves,
        lambda inner: st.dictionaries(keys, inner, max_size=4) | st.lists(inner, max_size=2),
        max_leaves=12,
    )
    study: dict[str, Any] = data.draw(st.dictionaries(keys, trees, max_size=5))
    with suppress(StudyError):
        load(study)


def test_the_conditions_of_an_invalid_definition_are_checked() -> None:
    text = "parameters: {p: {type: int, min: one, max: 2, when: {q: 1}}}"
    assert [p.path for p in problems(text)] == ["parameters.p.min", "parameters.p.when.q"]


def test_several_invalid_items_of_a_list_are_reported() -> None:
    text = "trial: {args: [1, ok, 2]}\ninitial_trials: [3, {}, 4]"
    assert [p.path for p in problems(text)] == [
        "trial.args.0",
        "trial.args.2",
        "initial_trials.0",
        "initial_trials.2",
    ]


# --- YAML ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.5", -0.5),
        ("12", 12),
        ("+12", 12),
        ("012", 12),
        ("0o17", 15),
        ("0xff", 255),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("1:30", "1:30"),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("False", False),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        ("+", "+"),
        (".", "."),
        ("e5", "e5"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_scalars_are_read_as_yaml_1_2(text: str, value: object) -> None:
    read = loads(f"constants: {{c: {text if text != '-' else chr(39) + '-' + chr(39)} }}")
    assert read.constants["c"] == value
    assert type(read.constants["c"]) is type(value)


def test_block_texts_are_text() -> None:
    assert loads("constants:\n  c: |\n    1\n").constants["c"] == "1\n"
    assert loads("description: >-\n  a\n  b\n").description == "a b"


def test_keys_are_text_as_written() -> None:
    study = loads("constants: {1: a, true: b, null: c, 1.0: d, no: e, 'x y': f}")
    assert list(study.constants) == ["1", "true", "null", "1.0", "no", "x y"]


@pytest.mark.parametrize(
    ("text", "line", "path", "words"),
    [
        ("name: a\nname: b", 2, "name", "duplicate key (lines 1 and 2); remove one of them"),
        ("constants:\n  a: 1\n  b: 2\n  a: 3", 4, "constants.a", "(lines 2 and 4)"),
        ("constants: {a: &x 1}", 1, "constants.a", "anchors and aliases"),
        ("constants: {a: !!str 1}", 1, "constants.a", "tags such as"),
        ("constants: {a: !x 1}", 1, "constants.a", "tags such as !x"),
        ("name: a\n[1, 2]: 3", 2, "", "a key must be a string"),
        ("name: a\n--- \nname: b", 2, "", "a single document"),
        ("%YAML 1.1\n---\nname: a", 2, "", "only YAML 1.2"),
        (
            "name: a\n\tlimits: 3",
            2,
            "",
            "indent with spaces; fix this first to see other mistakes",
        ),
        ("name: a\nlimits:\n\tmax_trials: 3", 3, "", "indented with a tab"),
        ("name: a\ntrial:\n  args: [--lr={{lr}}]", 3, "", '["--lr={{lr}}"]'),
        ("trial: {args: [--lr={{lr}}], metrics: {a: '(.)'}}", 1, "", '["--lr={{lr}}"]'),
        ('constants: {a: [1, 2, b: "{{lr}}"', 1, "", "missing comma"),
        ("name: a\ntrial:\n  args: [a, {{lr}}]", 3, "trial.args.1", '"--lr={{lr}}"'),
        ("name: 'a", 1, "", "missing closing quote"),
        ('name: "a', 1, "", "missing closing quote"),
        ("name: a: b", 1, "", "quote strings that contain a colon"),
        ("constants: [1, 2", 1, "", "missing comma"),
        ("name: a\nlimits:\n  max_trials: 1\n patience: 1", 4, "", "wrong indentation"),
        ("name: @a", 1, "", "cannot start with this character"),
        ("name: a\x07", 1, "", "control character"),
        ('name: "\\ud800"', 1, "name", "unpaired surrogate"),
        ("- a", 1, "", "a map of keys and values"),
        ("just words", 1, "", "a map of keys and values"),
        ("constants: {a: " + "9" * 500 + "}", 1, "constants.a", "more than 400 digits"),
    ],
)
def test_ambiguous_yaml_is_reported_with_its_line(
    text: str, line: int, path: str, words: str
) -> None:
    problem = only(text)
    assert (problem.line, problem.path) == (line, path)
    assert words in str(problem)


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "null", "~"])
def test_an_empty_file_is_reported(text: str) -> None:
    assert "is empty" in only(text).message


def test_merge_keys_are_unknown_keys() -> None:
    assert only("limits: {<<: {max_trials: 3}}").path == "limits.<<"


def test_an_alias_hides_its_consequences() -> None:
    text = "constants: {a: &x 1}\nparameters:\n  p: {type: int, min: *x, max: 3}\n"
    assert [p.path for p in problems(text)] == ["constants.a", "parameters.p.min"]


def test_spelling_and_yaml_mistakes_are_reported_together() -> None:
    messages = problems("name: a\nname: b\nlimits: {max_trials: 0}\nconstants: {a: !x 1}")
    assert [p.line for p in messages] == [2, 3, 4]


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"\xef\xbb\xbfname: a\r\nlimits: {max_trials: 3}\r\n")
    assert load(tmp_path / "s.yaml").name == "a"
    assert loads("\ufeffname: a").name == "a"


def test_lines_are_right_with_windows_line_ends() -> None:
    assert only("name: a\r\nlimits:\r\n  max_trials: 0\r\n").line == 3


def test_an_empty_block_is_ignored() -> None:
    study = loads("name: a\nparameters:\nconstants:\nlimits:\ntrial:\n")
    assert study == loads("name: a")


def test_range_is_read_as_step_with_a_note() -> None:
    study = loads("parameters:\n  p: {type: int, min: 0, max: 10, range: 5}")
    assert study.parameters["p"][0].model_dump()["step"] == 5
    assert [str(note) for note in study.notes] == ["parameters.p.range: read as step"]
    problem = only("parameters:\n  p: {type: int, min: 0, max: 10, range: -5}")
    assert (problem.path, problem.line) == ("parameters.p.step", 2)
    assert only("parameters: {p: {type: int, min: 0, max: 1, range: [0, 1]}}").path.endswith(
        "range"
    )


def test_a_study_knows_the_lines_of_its_fields() -> None:
    study = loads(FULL.lstrip(), "s.yaml")
    assert study.location("parameters.gamma.1.min")[1] == 9
    assert study.location("initial_trials.0.C")[1] == 18
    assert study.location("limits.nothing")[1] == 15
    assert study.location("nothing")[1] is None
    assert study.location("parameters.C.min") == ("s.yaml", 5)


def test_names_do_not_have_to_be_identifiers() -> None:
    study = loads(
        "parameters:\n"
        "  n.trees: {type: int, min: 1, max: 2}\n"
        "  max-depth: {type: bool}\n"
        "  lambda: {type: bool}\n"
        "  2fast: {type: bool}\n"
        "  UPPER: {type: bool}\n"
        "  'with space': {type: bool}\n"
        "  λ: {type: bool, when: {n.trees: 1}}\n"
    )
    assert list(study.parameters) == [
        "n.trees", "max-depth", "lambda", "2fast", "UPPER", "with space", "λ"
    ]  # fmt: skip
    assert only("parameters: {n.trees: {type: int, min: 2, max: 1}}").path == (
        "parameters.n.trees.min"
    )


# --- overrides ----------------------------------------------------------------------------------


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    file = tmp_path / "study.yaml"
    file.write_text(
        "objective: {metric: a, goal: maximize}\n"
        "parameters:\n"
        "  n.trees: {type: int, min: 1, max: 20}\n"
        "  p: [{type: int, min: 1, max: 2}]\n"
        "strategy: random\n"
        "limits: {max_trials: 3, timeout: 2h}\n"
    )
    return file


def _step(here: Any, step: str) -> Any:
    if is_list(here):
        return here[int(step)]
    return here[step] if is_map(here) else getattr(here, step)


@pytest.mark.parametrize(
    ("word", "path", "value"),
    [
        ("limits.max_trials=7", "limits.max_trials", 7),
        ("limits.timeout=", "limits.timeout", None),
        ("limits.timeout=30m", "limits.timeout", 1800.0),
        ("parameters.n.trees.max=5", "parameters.n.trees.0.max", 5),
        ("parameters.p.0.max=5", "parameters.p.0.max", 5),
        ("parameters.p.max=5", "parameters.p.0.max", 5),
        ("parameters.q={type: bool}", "parameters.q.0.type", "bool"),
        ("strategy.seed=3", "strategy.seed", 3),
        ("strategy=genetic", "strategy.name", "genetic"),
        ("objective.goal=minimize", "objective.0.goal", "minimize"),
        ("objective.0.target=0.5", "objective.0.target", 0.5),
        ("trial.script=x.py", "trial.script", "x.py"),
        ("trial.args=[a, 'b=c']", "trial.args", ["a", "b=c"]),
        ("constants.a=1e-3", "constants.a", 1e-3),
        ("constants.a='1'", "constants.a", "1"),
        ("providers.local.limits.max_trials=2", "providers.local", {"limits": {"max_trials": 2}}),
        ("name=other", "name", "other"),
    ],
)
def test_a_field_can_be_overridden(study_file: Path, word: str, path: str, value: object) -> None:
    here: Any = load(study_file, overrides=[word])
    steps = path.replace("n.trees", "n!trees").split(".")
    for step in (step.replace("!", ".") for step in steps):
        here = _step(here, step)
    assert here == value
    assert type(here) is type(value)


@pytest.mark.parametrize(
    ("word", "path", "words"),
    [
        ("limits.max_trials=0", "limits.max_trials", "at least 1"),
        ("limits.max_trails=3", "limits.max_trails", "did you mean max_trials?"),
        ("parameters.n.trees.max=0", "parameters.n.trees.min", "greater than max"),
        ("limits.max_trials", "", "path=value"),
        ("=3", "", "path=value"),
        ("limits.max_trials=[1", "limits.max_trials", "missing comma"),
        ("limits.max_trials.x=1", "limits.max_trials.x", "not a map"),
        ("parameters.p.5.max=1", "parameters.p.5.max", "a list"),
        ("constants.a=&x 1", "constants.a", "anchors"),
        ("limts.max_trials=3", "limts", "did you mean limits?"),
        ("parameters.q.min=1", "parameters.q.type", "is missing"),
    ],
)
def test_an_invalid_override_is_reported_with_its_text(
    study_file: Path, word: str, path: str, words: str
) -> None:
    with pytest.raises(StudyError) as caught:
        load(study_file, overrides=[word])
    (problem,) = caught.value.problems
    assert problem.path == path
    assert words in str(problem)
    if path == "parameters.n.trees.min":
        assert f", with --set {word} (" in str(problem)
    else:
        assert problem.file == f"--set {shlex.quote(word)}"


def test_a_mistake_of_the_file_is_not_that_of_an_override(study_file: Path) -> None:
    study_file.write_text("limits: {max_trials: many, patience: 1}\nstrategy: {seed: x}\n")
    with pytest.raises(StudyError) as caught:
        load(study_file, overrides=["strategy.seed=3", "limits.patience=2"])
    assert "--set" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("trial.metrics.loss=loss: (.*)", "write --set \"trial.metrics.loss='loss: (.*)'\""),
        (r"trial.metrics.loss=[\d]+", "write --set \"trial.metrics.loss='[\\d]+'\""),
        ("trial.script=5", "write --set \"trial.script='5'\""),
        ("trial.args=[5]", 'write it in quotes: "5"'),
        ('trial.metrics.loss=a: "x"', "quote the value for YAML, and all of it for the shell"),
    ],
)
def test_a_string_is_quoted_for_the_shell_and_for_yaml(
    study_file: Path, override: str, hint: str
) -> None:
    with pytest.raises(StudyError) as caught:
        load(study_file, overrides=[override])
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        r"{loss: loss: (\S+)}",
        r'{loss: "loss: (\S+)"}',
        r"{loss: [\d.]+}",
        r"{loss: loss=([0-9.]+)}",
        r"{loss: loss=(\d{1,3})}",
        r"{loss: {(\S+)}}",
        "\n    loss: loss: (.*)",
        "\n    loss: [a-z]+ x",
        "\n    loss: %loss (\\S+)",
    ],
)
def test_an_expression_that_yaml_misreads_is_to_be_quoted(line: str) -> None:
    with pytest.raises(StudyError) as caught:
        loads(f"trial:\n  metrics: {line}\n")
    assert r"regular expression in single quotes, for example 'loss: (\S+)'" in str(caught.value)
    assert loads("trial: {metrics: {loss: 'loss: (\\S+)'}}").trial.metrics


def test_overrides_replace_mistakes_in_the_file(study_file: Path) -> None:
    study_file.write_text("limits: {max_trials: many}\n")
    assert load(study_file, overrides=["limits.max_trials=3"]).limits.max_trials == 3


def test_a_study_can_be_overridden_without_its_file(study_file: Path) -> None:
    study = apply_overrides(load(study_file), ["limits.max_trials=9"])
    assert study.limits.max_trials == 9
    assert study.limits.timeout == 7200
    with pytest.raises(StudyError, match="at least 1"):
        apply_overrides(study, ["limits.max_trials=0"])


# --- the team's settings ------------------------------------------------------------------------


def test_team_settings_are_defaults_of_the_study(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "s.yaml").write_text("providers:\n  x: {region: mine, deep: {a: 1}}\n")
    (tmp_path / "cloudtune.providers.yaml").write_text("x: {region: far, role: far}\n")
    team = tmp_path / "a" / "cloudtune.providers.yaml"
    team.write_text("x:\n  region: team\n  role: team\n  deep: {a: 2, b: 3}\ny: {z: 1}\n")
    study = load(folder / "s.yaml")
    assert study.providers == {
        "x": {"region": "mine", "deep": {"a": 1, "b": 3}, "role": "team"},
        "y": {"z": 1},
    }
    assert study.location("providers.x.role") == (str(team), 3)
    assert study.location("providers.x.region") == (str(folder / "s.yaml"), 2)
    assert str(team) in str(study.notes[0])


def test_settings_can_be_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "cloudtune").mkdir(parents=True)
    (tmp_path / "config" / "cloudtune" / "providers.yaml").write_text("x: {role: user}\n")
    (tmp_path / "s.yaml").write_text("name: a\n")
    assert load(tmp_path / "s.yaml").providers == {"x": {"role": "user"}}


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")
@pytest.mark.parametrize(
    ("owner", "owner_of_study", "read"),
    [("me", "me", True), ("root", "me", True), ("other", "me", False), ("other", "other", True)],
)
def test_team_settings_are_read_from_trusted_owners_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, owner_of_study: str, read: bool
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    team = tmp_path / "cloudtune.providers.yaml"
    team.write_text("x: {region: near}\n")
    (tmp_path / "a").mkdir()
    study = tmp_path / "a" / "study.yaml"
    study.write_text("name: s\n")
    owners = {team: owner, study: owner_of_study}
    ids = {"me": 4321, "root": 0, "other": 4322}
    stat = Path.stat

    def owned(path: Path, **more: bool) -> os.stat_result:
        result = stat(path, **more)
        if path not in owners:
            return result
        return os.stat_result([*result[:4], ids[owners[path]], *result[5:]])

    monkeypatch.setattr(os, "getuid", lambda: ids["me"])
    monkeypatch.setattr(Path, "stat", owned)
    loaded = load(study)
    assert loaded.providers == ({"x": {"region": "near"}} if read else {})
    note = f"providers: {team} belongs to another user and was not read"
    assert (note in map(str, loaded.notes)) != read


@pytest.mark.parametrize(
    ("text", "line", "path"),
    [
        ("providers:\n  x: {a: 1}\n", 1, "providers"),
        ("x: 3\n", 1, "providers.x"),
        ("x: {a: 1,\n a: 2}\n", 2, "x.a"),
        ("x:\n  limits: {max_trials: 0}\n", 2, "providers.x.limits.max_trials"),
        ("- x\n", 1, ""),
        ("x: {a: 'b\n", 1, ""),
    ],
)
def test_mistakes_in_team_settings_name_their_file(
    tmp_path: Path, text: str, line: int, path: str
) -> None:
    (tmp_path / "s.yaml").write_text("limits: {max_trials: 0}\n")
    (tmp_path / "cloudtune.providers.yaml").write_text(text)
    with pytest.raises(StudyError) as caught:
        load(tmp_path / "s.yaml")
    mine, theirs = caught.value.problems
    assert mine.file == str(tmp_path / "s.yaml")
    assert (theirs.file, theirs.line, theirs.path) == (
        str(tmp_path / "cloudtune.providers.yaml"),
        line,
        path,
    )


# --- round trips --------------------------------------------------------------------------------

_names = st.text(min_size=1, max_size=8).filter(
    lambda t: t.isprintable() and t == t.strip() and "=" not in t and "#" not in t
)
_texts = st.text(max_size=8).filter(lambda t: t.isprintable() and t != LOST_TEXT)
_numbers = st.floats(-1e12, 1e12) | st.integers(-(10**12), 10**12)


def _typed(value: object) -> tuple[str, object]:
    return type(value).__name__, value


@st.composite
def _parameters(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["float", "int", "discrete", "categorical", "bool"]))
    if kind == "bool":
        return {"type": "bool"}
    if kind == "categorical":
        scalar = _texts | st.booleans() | st.integers(-9, 9)
        return {"type": kind, "values": draw(st.lists(scalar, min_size=1, unique_by=_typed))}
    if kind == "discrete":
        numbers = draw(st.sets(st.integers(-(10**6), 10**6), min_size=1, max_size=5))
        return {"type": kind, "values": sorted(numbers)}
    number = st.integers(-(10**12), 10**12) if kind == "int" else _numbers
    low, high = sorted([draw(number), draw(number)])
    return {
        "type": kind,
        "min": low,
        "max": high,
        "scale": draw(st.sampled_from(["linear", "auto"])),
    }


_studies: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"parameters": st.dictionaries(_names, _parameters(), max_size=4)},
    optional={
        "name": _texts,
        "description": _texts,
        "objective": st.fixed_dictionaries(
            {"metric": _names, "goal": st.sampled_from(["maximize", "minimize"])}
        ),
        "limits": st.fixed_dictionaries(
            {},
            optional={
                "max_trials": st.integers(1, 10**6),
                "timeout": st.integers(1, 10**6).map(lambda s: f"{s}s"),
                "max_cost": st.integers(0, 10**6).map(lambda n: f"{n} USD"),
            },
        ),
        "strategy": st.fixed_dictionaries(
            {"name": st.sampled_from(["random", "bayesian"])},
            optional={"seed": st.integers(0, 2**32 - 1)},
        ),
    },
)


@settings(max_examples=100)
@given(_studies)
def test_a_study_written_as_json_is_read_back_the_same(data: dict[str, Any]) -> None:
    study = Study.model_validate(data)
    again = loads(json.dumps(study.to_json(), ensure_ascii=False))
    assert again == study
    assert again.to_json() == study.to_json()
    assert again.fingerprint() == study.fingerprint()
    assert loads(json.dumps(study.to_json(), indent=2)) == study


# --- the schema ---------------------------------------------------------------------------------


def test_the_schema_agrees_with_the_loader() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from cloudtune.study import yaml_reader

    validator = jsonschema.Draft202012Validator(json_schema())
    full = yaml_reader.parse(FULL, "s").data
    assert [error.message for error in validator.iter_errors(full)] == []
    short = {"strategy": "random", "early_stopping": "median", "objective": full["objective"]}
    assert validator.is_valid(short)
    assert validator.is_valid(loads(FULL).to_json())
    assert not validator.is_valid({**full, "limit": {}})
    assert not validator.is_valid({"strategy": "randon"})
    assert not validator.is_valid({"parameters": {"p": {"type": "floot"}}})
