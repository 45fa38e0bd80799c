"""Mistakes that show when the parts of a study are held against each other."""

from __future__ import annotations

import pytest

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.loader import loads
from cloudtune.study.study import Study
from cloudtune.study.validation import find_notes, find_problems

SPACE = """
parameters:
  lr: {type: float, min: 0.1, max: 1}
  grid: {type: float, min: 0, max: 1, step: 0.1}
  depth: {type: int, min: 1, max: 9, step: 2}
  batch: {type: discrete, values: [16, 32, 64]}
  kind: {type: categorical, values: [a, b, 1, "2", true]}
  flag: {type: bool}
  child: {type: int, min: 1, max: 5, when: {kind: a}}
  grandchild: {type: bool, when: {child: [1, 2]}}
  twice:
  - {type: int, min: 1, max: 2, when: {kind: a}}
  - {type: int, min: 10, max: 20, when: {kind: [b, 1]}}
constants: {epochs: 3}
"""


def only(text: str) -> Problem:
    with pytest.raises(StudyError) as caught:
        loads(text)
    assert len(caught.value.problems) == 1, str(caught.value)
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("definition", "field", "words"),
    [
        ("{type: float, min: 2, max: 1}", "min", "min 2 is greater than max 1"),
        ("{type: int, min: 2, max: 1}", "min", "min 2 is greater than max 1"),
        (
            "{type: float, min: 0, max: 1, scale: log}",
            "min",
            "greater than 0 for scale: log, not 0",
        ),
        ("{type: int, min: -1, max: 1, scale: log}", "min", "greater than 0 for scale: log"),
        ("{type: discrete, values: [0, 1], scale: log}", "values", "values must be greater than 0"),
        ("{type: float, min: 0, max: 1, step: 0}", "step", "must be greater than 0"),
        ("{type: int, min: 0, max: 1, step: -1}", "step", "must be greater than 0"),
        ("{type: float, min: 0, max: 1, step: 1.5}", "step", "larger than the range"),
        ("{type: int, min: 5, max: 5, step: 1}", "step", "larger than the range"),
        ("{type: float, min: 0, max: 1e30, step: 1e-30}", "step", "too small"),
        ("{type: float, min: 1e16, max: 1.1e16, step: 0.5}", "step", "too small"),
        ("{type: int, min: 0, max: 9223372036854775808}", "max", "64 bits"),
        ("{type: int, min: -9223372036854775809, max: 0}", "min", "64 bits"),
        ("{type: discrete, values: [1, 9223372036854775808]}", "values", "64 bits"),
        (f"{{type: float, min: 0, max: {10**399}, step: 1}}", "max", "64 bits"),
        (f"{{type: float, min: 0, max: {10**399}, scale: reverse_log}}", "max", "64 bits"),
        ("{type: discrete, values: [2, 1]}", "values", "write [1, 2]"),
        ("{type: discrete, values: [1, 1]}", "values", "write [1]"),
        ("{type: discrete, values: [1, 1.0]}", "values", "must be strictly increasing"),
        ("{type: categorical, values: [a, b, a]}", "values", "duplicate value 'a'"),
        ("{type: categorical, values: [1, 1.0]}", "values", "duplicate value 1"),
        ("{type: categorical, values: [true, true]}", "values", "duplicate value true"),
        (
            "{type: float, min: -1e308, max: 1e308, scale: reverse_log}",
            "scale",
            "too wide for reverse_log",
        ),
    ],
)
def test_bounds_and_values_must_be_valid(definition: str, field: str, words: str) -> None:
    problem = only(f"parameters: {{p: {definition}}}")
    assert problem.path == f"parameters.p.{field}"
    assert words in str(problem)


@pytest.mark.parametrize(
    "definition",
    [
        "{type: float, min: 1, max: 1}",
        "{type: float, min: -1, max: 1, scale: reverse_log}",
        "{type: float, min: -1, max: 1, scale: auto}",
        "{type: float, min: 1, max: 8, scale: log, step: 1}",
        "{type: float, min: 0, max: 1, step: 1}",
        "{type: float, min: 0, max: 0.3, step: 0.3}",
        "{type: float, min: -1e308, max: 1e308}",
        "{type: int, min: -9223372036854775808, max: 9223372036854775807}",
        "{type: discrete, values: [5]}",
        "{type: discrete, values: [-1.5, 0.0, 2.5]}",
        '{type: categorical, values: [1, "1", true, "true", 1.5, ""]}',
        "{type: float, min: 5e-324, max: 1e308, scale: log}",
        "{type: float, min: 0, max: 1e308, scale: reverse_log}",
    ],
)
def test_unusual_spaces_are_valid(definition: str) -> None:
    assert loads(f"parameters: {{p: {definition}}}").parameters["p"]


def test_integers_among_floats_are_read_as_floats() -> None:
    (parameter,) = loads("parameters: {p: {type: discrete, values: [0.5, 1, 2]}}").parameters["p"]
    assert list(map(repr, parameter.model_dump()["values"])) == ["0.5", "1.0", "2.0"]


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("{kid: a}", "unknown parameter kid (did you mean kind?)"),
        ("{epochs: 3}", "it is a constant"),
        ("{kind: c}", "not the string 'c'"),
        ("{kind: [a, '1']}", "did you mean the number 1?"),
        ("{kind: 2}", "did you mean the string '2'?"),
        ("{kind: 'true'}", "did you mean true?"),
        ("{kind: []}", "never active"),
        ("{flag: 1}", "must be true or false, not the number 1"),
        ("{flag: 'True'}", "not the string 'True'"),
        ("{depth: 2}", "an integer from 1 to 9 in steps of 2"),
        ("{depth: 11}", "not the number 11"),
        ("{batch: 17}", "one of 16, 32, 64"),
        ("{twice: 5}", "an integer from 1 to 2 or an integer from 10 to 20"),
        ("{lr: 0.5}", "cannot depend on lr, a float"),
        ("{grid: 0.5}", "use type: discrete"),
        ("{new: true}", "new depends on itself"),
    ],
)
def test_a_condition_must_be_able_to_hold(when: str, words: str) -> None:
    text = SPACE.replace("constants:", f"  new: {{type: bool, when: {when}}}\nconstants:")
    problem = only(text)
    assert problem.path.startswith("parameters.new.when.")
    assert words in str(problem)


@pytest.mark.parametrize(
    "when",
    ["{kind: [a, 1, '2', true]}", "{depth: 3.0}", "{batch: 16}", "{flag: false}", "{twice: 20}"],
)
def test_conditions_compare_with_the_type(when: str) -> None:
    text = SPACE.replace("constants:", f"  new: {{type: bool, when: {when}}}\nconstants:")
    assert loads(text).parameters["new"]


def test_a_cycle_of_conditions_is_reported_once() -> None:
    problem = only(
        "parameters:\n"
        "  a: {type: bool, when: {b: true}}\n"
        "  b: {type: bool, when: {c: true}}\n"
        "  c: {type: bool, when: {a: true}}\n"
        "  d: {type: bool, when: {a: true}}\n"
    )
    assert "a -> b -> c -> a" in problem.message


def test_every_cycle_is_reported() -> None:
    with pytest.raises(StudyError) as caught:
        loads(
            "parameters:\n"
            "  a: {type: bool, when: {b: true}}\n"
            "  b: {type: bool, when: {a: true}}\n"
            "  c: {type: bool, when: {d: true}}\n"
            "  d: {type: bool, when: {c: true}}\n"
        )
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("first", "second", "fine"),
    [
        ("{k: a}", "{k: b}", True),
        ("{k: [a, b]}", "{k: c}", True),
        ("{k: a, j: true}", "{k: a, j: false}", True),
        ("{k: a}", "{k: [b, a]}", False),
        ("{k: a}", "{j: true}", False),
        ("{}", "{k: a}", False),
    ],
)
def test_definitions_of_one_name_must_exclude_each_other(
    first: str, second: str, fine: bool
) -> None:
    text = (
        "parameters:\n"
        "  k: {type: categorical, values: [a, b, c]}\n"
        "  j: {type: bool}\n"
        "  p:\n"
        f"  - {{type: bool, when: {first}}}\n"
        f"  - {{type: bool, when: {second}}}\n"
    )
    if fine:
        assert loads(text)
    else:
        problem = only(text)
        assert problem.path == "parameters.p.1"
        assert "can be active together" in problem.message


@pytest.mark.parametrize(
    ("block", "path", "words"),
    [
        ("parameters: {'': {type: bool}}", "parameters.", "must not be empty"),
        ("parameters: {' a': {type: bool}}", "parameters. a", "end with a space"),
        ('parameters: {"a\\nb": {type: bool}}', "parameters.a\nb", "control characters"),
        ('parameters: {"a\\0b": {type: bool}}', "parameters.a\0b", "control characters"),
        ("parameters: {a=b: {type: bool}}", "parameters.a=b", "="),
        (f"parameters: {{{'x' * 201}: {{type: bool}}}}", f"parameters.{'x' * 201}", "200"),
        ('constants: {"a\\eb": 1}', "constants.a\x1bb", "control characters"),
        ("constants: {'': 1}", "constants.", "must not be empty"),
        ("parameters: {a: {type: bool}}\nconstants: {a: 1}", "constants.a", "also a parameter"),
        (
            "parameters:\n  k: {type: bool}\n"
            "  a: [{type: bool, when: {k: true}}, {type: bool, when: {k: false}}]\n"
            "  'a#2': {type: bool}",
            "parameters.a#2",
            "another definition of a",
        ),
    ],
)
def test_names_that_could_do_harm_are_refused(block: str, path: str, words: str) -> None:
    problem = only(block)
    assert problem.path == path
    assert words in problem.message


def test_an_equals_sign_in_a_name_is_valid_with_json() -> None:
    assert loads("parameters: {a=b: {type: bool}}\ntrial: {arguments: json}").parameters


@pytest.mark.parametrize(
    ("trial", "field", "words"),
    [
        ("{kindd: a}", "kindd", "unknown parameter kindd (did you mean kind?)"),
        ("{epochs: 3}", "epochs", "it is a constant"),
        ("{lr: 2}", "lr", "must be a number from 0.1 to 1, not the number 2"),
        ("{lr: '0.5'}", "lr", "not the string '0.5'"),
        ("{grid: 0.15}", "grid", "in steps of 0.1"),
        ("{depth: 2}", "depth", "in steps of 2"),
        ("{depth: 3.5}", "depth", "an integer from 1 to 9"),
        ("{batch: 17}", "batch", "one of 16, 32, 64"),
        ("{kind: c}", "kind", "one of 'a', 'b', 1, '2', true"),
        ("{kind: '1'}", "kind", "did you mean the number 1?"),
        ("{flag: 1}", "flag", "true or false"),
        ("{kind: b, child: 1}", "child", "not active in this trial (active if kind is 'a')"),
        (
            "{child: 1}",
            "child",
            "depends on kind, which this trial does not set (add kind, or remove child)",
        ),
        ("{kind: a, child: 3, grandchild: true}", "grandchild", "not active"),
        ("{kind: a, twice: 15}", "twice", "an integer from 1 to 2"),
        ("{kind: true, twice: 1}", "twice", "not active"),
        ("{kind: c, child: 1}", "kind", "must be one of"),
    ],
)
def test_an_initial_trial_must_be_in_the_space(trial: str, field: str, words: str) -> None:
    problem = only(f"{SPACE}initial_trials: [{{flag: true}}, {trial}]")
    assert problem.path == f"initial_trials.1.{field}"
    assert words in str(problem)


@pytest.mark.parametrize(
    "trial",
    [
        "{}",
        "{lr: 1, grid: 0.3, depth: 9, batch: 16.0, kind: 1, flag: false}",
        "{grandchild: true, child: 2, kind: a}",
        "{kind: b, twice: 20}",
        "{depth: 3.0}",
    ],
)
def test_initial_trials_can_omit_parameters(trial: str) -> None:
    assert loads(f"{SPACE}initial_trials: [{trial}]").initial_trials


def test_listed_trials_run_unchanged() -> None:
    listed = f"{SPACE}strategy: list\ninitial_trials: [{{other: x, kind: b, child: 1}}, {{new: 3}}]"
    assert loads(listed).initial_trials
    assert only(listed.replace("child: 1", "child: 9")).path == "initial_trials.0.child"


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("strategy: {name: hyperband}", "strategy.max", "for example max: 27"),
        ("strategy: {name: hyperband, min: 9, max: 3}", "strategy.min", "greater than max"),
        ("strategy: {name: random, max: 3}", "strategy.max", "requires the strategy hyperband"),
        (
            "strategy: {name: random, resource: e}",
            "strategy.resource",
            "requires the strategy hyperband",
        ),
        ("strategy: {name: grid, eta: 3}", "strategy.eta", "requires the strategy hyperband"),
        (
            "parameters: {e: {type: bool}}\nstrategy: {name: hyperband, max: 3, resource: e}",
            "strategy.resource",
            "also in parameters",
        ),
        (
            "constants: {e: 1}\nstrategy: {name: hyperband, max: 3, resource: e}",
            "strategy.resource",
            "also in constants",
        ),
        ("strategy: {name: bayesian, method: tpee}", "strategy.method", "did you mean tpe?"),
        ("strategy: {name: random, method: tpe}", "strategy.method", "use one of uniform, sobol"),
        ("strategy: {name: grid, method: tpe}", "strategy.method", "no methods"),
        ("strategy: list", "initial_trials", "needs initial trials"),
        (
            "parameters: {p: {type: float, min: 0, max: 1}}\nstrategy: grid",
            "parameters.p",
            "a grid needs a step for the float p",
        ),
        (
            "strategy: {name: hyperband, max: 3}\nearly_stopping: median",
            "early_stopping",
            "hyperband already stops trials early",
        ),
        (
            "objective: [{metric: a, goal: maximize}, {metric: b, goal: minimize}]\n"
            "early_stopping: median",
            "early_stopping",
            "supports only one objective",
        ),
        (
            "objective: [{metric: a, goal: maximize}, {metric: b, goal: minimize}]\n"
            "strategy: {name: hyperband, max: 3}",
            "strategy.name",
            "supports only one objective",
        ),
        (
            "objective: [{metric: a, goal: maximize}, {metric: a, goal: minimize}]",
            "objective.1.metric",
            "duplicate objective a",
        ),
        (
            "objective: [{metric: a, goal: maximize}, {metric: b, goal: minimize}]\n"
            "strategy: {name: bayesian, method: cmaes}",
            "strategy.method",
            "use tpe, gp",
        ),
        ("early_stopping: {rule: median, slack: 0.1}", "early_stopping.slack", "rule bandit"),
        ("warm_start: {from: ':job'}", "warm_start.from", "is not a run or a job"),
        ("warm_start: {from: [a, 'p:']}", "warm_start.from.1", "is not a run or a job"),
        ("warm_start: {from: ['']}", "warm_start.from.0", "is not a run or a job"),
        (
            "providers: {x: {limits: {max_trials: 0, timeout: 3h}}}",
            "providers.x.limits.max_trials",
            "at least 1",
        ),
        ("providers: {x: {limits: {timeout: 3}}}", "providers.x.limits.timeout", "3s"),
        ("providers: {x: {limits: 3}}", "providers.x.limits", "a map"),
    ],
)
def test_the_blocks_must_fit_together(text: str, path: str, words: str) -> None:
    problem = only(text)
    assert problem.path == path
    assert words in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "strategy: {name: hyperband, resource: epochs, max: 27}",
        "strategy: {name: hyperband, max: 27, min: 27}",
        "strategy: {name: genetic, method: nsga3}",
        "parameters: {p: {type: float, min: 1, max: 1}, "
        "q: {type: float, min: 0, max: 1, step: 0.5}}\n"
        "strategy: grid",
        "early_stopping: {rule: bandit, slack: 0.2}",
        "objective: {metric: a, goal: maximize}\nstrategy: {name: bayesian, method: cmaes}",
        "objective: [{metric: a, goal: maximize}, {metric: b, goal: minimize}]\n"
        "strategy: {name: bayesian, method: gp}",
        "objective: [{metric: a, goal: maximize, target: 1}, {metric: b, goal: minimize}]\n"
        "limits: {patience: 3}",
        "warm_start: {from: [abc123, 'sagemaker:job:with:colons']}",
        "providers: {katib: {native: {limits: 3}}, x: {limits: {timeout: 3h}}}",
    ],
)
def test_blocks_that_fit_together_are_valid(text: str) -> None:
    assert loads(text)


@pytest.mark.parametrize(
    ("trial", "path", "words"),
    [
        ("{script: a.py, module: b}", "trial.module", "only one of script and module"),
        ("{script: a.py, command: [b]}", "trial.command", "only one of script and command"),
        ("{script: /a.py}", "trial.script", "must be relative to trial.source"),
        ("{script: 'C:\\a.py'}", "trial.script", "must be relative"),
        ("{script: ../a.py}", "trial.script", "outside trial.source"),
        ("{script: a/../../b.py}", "trial.script", "outside trial.source"),
        ("{script: ''}", "trial.script", "must not be empty"),
        ("{requirements: ../r.txt}", "trial.requirements", "outside trial.source"),
        ("{module: a-b.c}", "trial.module", "not the name of a Python module"),
        (
            "{script: a.py, preload: [a.b, c d]}",
            "trial.preload.1",
            "not the name of a Python module",
        ),
        ("{command: [a], preload: [b]}", "trial.preload", "cannot have preloaded modules"),
        ("{metrics: {a: 'x'}}", "trial.metrics.a", "has no group"),
        ("{metrics: {a: ['(x)', 'x']}}", "trial.metrics.a.1", "has no group"),
        ("{metrics: {a: 'x(?P<step>.)'}}", "trial.metrics.a", "has no group around the value"),
        ("{metrics: {a: '(x'}}", "trial.metrics.a", "invalid regular expression"),
        ("{args: ['{{foo}}']}", "trial.args.0", "unknown placeholder {{foo}}"),
        ("{switches: {kinf: --a}}", "trial.switches.kinf", "is not a parameter or a constant"),
        ("{switches: {kind: a b}}", "trial.switches.kind", "write --yes, --yes/--no, or /--no"),
        ("{switches: {kind: --a}, arguments: json}", "trial.switches", "there are no switches"),
        ("{args: ['{{ child }}', '{{kinf}}']}", "trial.args.1", "did you mean kind?"),
        ("{command: [python, '--x={{inputs.tran}}']}", "trial.command.1", "unknown placeholder"),
        ("{env: {1A: x}}", "trial.env.1A", "not the name of an environment variable"),
        ("{env: {A=B: x}}", "trial.env.A=B", "not the name of an environment variable"),
        ("{env: {CLOUDTUNE_RUN: x}}", "trial.env.CLOUDTUNE_RUN", "start with CLOUDTUNE_"),
        ("{env: {CLOUDTUNE_X: {from_env: X}}}", "trial.env.CLOUDTUNE_X", "start with CLOUDTUNE_"),
        ("{env: {A: {from_env: 'B C'}}}", "trial.env.A.from_env", "not the name"),
        ('{env: {A: "a\\0b"}}', "trial.env.A", "NUL"),
        ('{args: ["a\\0b"]}', "trial.args.0", "NUL"),
        ("{inputs: {a-b: x, a_b: y}}", "trial.inputs.a_b", "CLOUDTUNE_INPUT_A_B"),
        ("{inputs: {ä: x, b: y, ö: z}}", "trial.inputs.ö", "ö and ä both set"),
        ("{inputs: {a: x, A: y}}", "trial.inputs.A", "rename one of them"),
        ("{inputs: {'a ': x}}", "trial.inputs.a ", "no space at either end"),
        ("{inputs: {'': x}}", "trial.inputs.", "a name must have printable"),
    ],
)
def test_the_trial_block_is_checked(trial: str, path: str, words: str) -> None:
    problem = only(f"{SPACE}trial: {trial}")
    assert problem.path == path
    assert words in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "parameters: {inputs.a: {type: bool}}",
        "constants: {inputs.a: 1}",
        "strategy: {name: hyperband, max: 3, resource: inputs.a}",
    ],
)
def test_a_placeholder_means_one_thing(text: str) -> None:
    problem = only(f"{text}\ntrial: {{inputs: {{a: x, b: y}}}}")
    assert problem.path == "trial.inputs.a"
    assert "inputs.a is also" in str(problem)


@pytest.mark.parametrize(
    "trial",
    [
        "{script: a/b.py}",
        "{inputs: {a-b: x, a_c: y}}",
        "{script: a/../b.py}",
        "{module: a.b}",
        "{metrics: {a: 'x=(?P<value>.*)', b: '(?:x)(\\d++)', c: {}, d: '\\p{Lu}(.)'}}",
        "{args: ['{{kind}}', '{{epochs}}', '{{inputs.t}}', '{x}', '{{}}'], inputs: {t: ./d}}",
        "{env: {HF_TOKEN: {from_env: MY_TOKEN}, TOKENIZERS_PARALLELISM: 'false', API_KEY: ''}}",
        "{env: {X: {from_env: CLOUDTUNE_X}}}",
        "{env: {MAX_TOKEN: '512', KEYBOARD: us, CUBLAS_WORKSPACE_CONFIG: ':4096:8'}}",
    ],
)
def test_ordinary_trials_are_valid(trial: str) -> None:
    assert loads(f"{SPACE}trial: {trial}")


def test_the_resource_of_hyperband_can_be_a_placeholder() -> None:
    text = "strategy: {name: hyperband, resource: n, max: 3}\ntrial: {args: ['--epochs={{n}}']}"
    assert loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "trial: {env: {HF_TOKEN: abc}}",
        "trial: {env: {AWS_SECRET_ACCESS_KEY: abc}}",
        "trial: {env: {db_password: abc}}",
        "trial: {env: {MY_API_KEY: abc}}",
        "trial: {env: {X: hf_abcdefghijklmnopqrstuvwxyz}}",
        "trial: {args: [--key=AKIAABCDEFGHIJKLMNOP]}",
        "trial: {command: [x, ghp_abcdefghijklmnopqrstuvwxyz0123]}",
        "constants: {key: sk-abcdefghijklmnopqrstuvwxyz}",
        "providers: {x: {deep: [{a: 'xoxb-0123456789-abc'}]}}",
    ],
)
def test_secrets_are_refused_and_not_repeated(text: str) -> None:
    problem = only(text)
    assert "looks like a secret" in problem.message
    for secret in ("abc", "AKIA", "xoxb"):
        assert secret not in str(problem)


def test_likely_mistakes_are_notes() -> None:
    study = loads(
        SPACE
        + "objective: {metric: acc, goal: maximize}\n"
        + "limits: {max_trials: 1}\n"
        + "initial_trials: [{}, {}]\n"
        + "trial: {args: [--lr=3, --lr, lr, --depthh], metrics: {accc: '(x)'}}\n"
    )
    assert [(note.path, note.text[:20]) for note in find_notes(study)] == [
        ("trial.args.0", "lr is also a paramet"),
        ("trial.args.1", "lr is also a paramet"),
        ("objective.metric", "acc is not in trial."),
        ("initial_trials", "max_trials is 1, so "),
    ]
    assert study.notes == tuple(find_notes(study))


def test_a_parameter_among_the_fixed_arguments_is_noted() -> None:
    args = ["-C", "1", "-C=1", "-lr", "-v", "--out", "-d", "{{d}}", "--e={{e}}", "-", "--"]
    parameters = {name: {"type": "bool"} for name in ("C", "lr", "d", "e", "out")}
    study = Study.model_validate({"parameters": parameters, "trial": {"args": args}})
    assert [note.path for note in study.notes] == [f"trial.args.{place}" for place in (0, 2, 5)]


@pytest.mark.parametrize(
    ("trial", "is_lost"),
    [
        ("{}", True),
        ("{arguments: equals}", True),
        ("{arguments: assign}", False),
        ("{arguments: json}", False),
        ("{arguments: env}", False),
        ("{arguments: none}", False),
        ("{arguments: json, args: ['--sep={{sep}}']}", True),
        ("{arguments: json, args: [--sep, '{{ sep }}']}", True),
        ("{arguments: json, command: [run, '-s={{sep}}']}", True),
        ("{args: ['{{sep}}', file]}", False),
        ("{args: [a, '{{sep}}']}", False),
        ("{args: ['--sep={{sep}}.']}", False),
    ],
)
def test_a_value_that_argparse_drops_is_a_mistake(trial: str, is_lost: bool) -> None:
    parameters = "parameters:\n  sep:\n    type: categorical\n    values:\n    - a\n    - --\n"
    starts = "strategy: list\ninitial_trials: [{sep: a}, {sep: --}]\n"
    for text, path, line in (
        (parameters, "parameters.sep.values.1", 6),
        ("constants:\n  k: 1\n  sep: --\n", "constants.sep", 3),
        (starts, "initial_trials.1.sep", 2),
    ):
        if is_lost:
            problem = only(f"{text}trial: {trial}\n")
            assert (problem.path, problem.line) == (path, line)
            assert "dropped by argparse" in problem.message
            assert "json, env or none" in problem.hint
        else:
            loads(f"{text}trial: {trial}\n")


def test_a_text_that_reads_as_an_option_is_noted_after_one() -> None:
    trial = "trial: {args: [--mode, '{{mode}}', '--other={{other}}', x, '{{flag}}']}\n"
    text = f"constants: {{mode: -x, other: -x, flag: -x, free: -x}}\n{trial}"
    assert [(note.path, note.severity) for note in loads(text).notes] == [
        ("constants.mode", "warning")
    ]


def test_a_study_created_in_python_is_checked() -> None:
    with pytest.raises(StudyError) as caught:
        Study.model_validate(
            {
                "parameters": {"p": {"type": "int", "min": 2, "max": 1}},
                "strategy": {"name": "grid", "max": 3},
            }
        )
    assert [(p.path, p.file, p.line) for p in caught.value.problems] == [
        ("parameters.p.min", None, None),
        ("strategy.max", None, None),
    ]


def test_invalid_fields_are_not_checked() -> None:
    data = {
        "parameters": {"kind": {"type": "bool"}, "p": {"type": "bool", "when": {"kind": "a"}}},
        "trial": {"args": ["{{gone}}"]},
    }
    study = Study.model_validate(data, context={"parts_only": True})
    assert len(find_problems(study)) == 2
    assert find_problems(study, frozenset({"parameters.kind", "constants.gone"})) == []


def test_a_share_of_all_trials_is_one_mistake() -> None:
    strategy = "strategy: {name: random, proposals: 1, proposal_wait: 5m}"
    problem = only(
        f"{SPACE}\nobjective: {{metric: m, goal: minimize}}\n{strategy}\ntrial: {{script: t.py}}"
    )
    assert problem.path == "strategy.proposals"
