"""Options that have the same value for true and for false, on every provider."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudtune.planning.full_check import check_study
from cloudtune.planning.planner import plan
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.study.study import Study

PROVIDERS = sorted(registry.names())


def study(arguments: str = "flags", args: tuple[str, ...] = ()) -> dict[str, object]:
    return {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"fast": {"type": "bool"}},
        "constants": {"plain": False},
        "limits": {"max_trials": 2},
        "trial": {"script": "train.py", "arguments": arguments, "args": list(args)},
    }


def write(folder: Path, options: str) -> None:
    (folder / "train.py").write_text("import own.options\n")
    (folder / "own").mkdir(exist_ok=True)
    (folder / "own" / "options.py").write_text(f"p = ArgumentParser()\n{options}\n")


@pytest.mark.parametrize("on", PROVIDERS)
def test_a_value_that_no_trial_can_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path,
        "p.add_argument('--fast', action='store_true', default=True)\n"
        "p.add_argument('--flat', dest='plain', action='store_false', default=False)",
    )
    planned = plan(Study.model_validate(study()), on, emulated=True)
    reasons = {each.path: each.reason for each in planned.refused if "store_" in each.reason}
    assert reasons == {
        "parameters.fast": "--fast is True with and without store_true (own/options.py, line 2): "
        "use action=argparse.BooleanOptionalAction",
        "constants.plain": "--flat is False with and without store_false (own/options.py, line 3): "
        "use action=argparse.BooleanOptionalAction",
    }
    restored = restore_plan(json.loads(json.dumps(planned.to_json())))
    assert restored.refused == planned.refused


OTHER = "p.add_argument('--other')\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("p.add_argument('--fast', default=False)", "--fast has no type and reads False as a text"),
        ("p.add_argument('--fast')\nif p.parse_args().fast: go()", "--fast has no type"),
        ("p.add_argument('-f', '--fast', nargs='?', const=True)", "-f has no type"),
        ("p.add_argument('--fast', type=str)\nmodel(fast=args.fast)", "--fast has the type str"),
        ("p.add_argument('--fast', dest='quick')\nif args.quick: go()", "--fast has no type"),
        ("p.add_argument('--fast', **options)", "--fast may have no type"),
        ("p.add_argument('--fast', type=type(False))", "--fast has type(False) as its type"),
        ("p.add_argument('--fast')\nbool(args.fast)", "--fast has no type"),
        ("p.add_argument('--fast')\nargs.fast == True", "--fast has no type"),
        (OTHER + "p.add_argument('--fast')\nargs.other == 'True'", "--fast has no type"),
        (OTHER + "p.add_argument('--fast')\nstr2bool(args.other)", "--fast has no type"),
        ("p.add_argument('--fast')\nos.environ.get('DEBUG') == 'true'", "--fast has no type"),
        ("add = p.add_argument\nadd('--fast')", "--fast has no type"),
        ("add = p.add_argument\nadd('--fast', type=bool)", "--fast has bool as its type"),
        ("p.add_option('--fast')", "--fast has no type"),
        ("@click.option('--fast')\ndef main(fast):\n    if fast: go()", "--fast has no type"),
        ("for n in NAMES: p.add_argument('--' + n, type=bool)", "the code computes the options"),
        ("[p.add_argument(f'--{n}', type=type(v)) for n, v in D]", "the code computes the options"),
        ("for n, o in D.items(): p.add_argument(n, **o)", "the code computes the options"),
        ("p.add_argument('--fast', default='')", "--fast has no type"),
        (
            "p.add_argument('--fast', choices=['True', 'False'], default=False)\nbool(args.fast)",
            "--fast has no type",
        ),
        ("p.add_argument('--fast_mode')", "--fast_mode has no type"),
        ("p.add_argument('--fast-mode', type=bool)", "--fast-mode has bool as its type"),
        ("p.add_option('--fast', default=False)", "--fast has no type"),
        ("import click\n@click.option('--fast')\ndef main(fast): ...", "--fast has no type"),
        ("import click\n@click.option('--fast', type=str)\ndef f(): ...", "--fast has the type"),
        ("p.add_argument('--fast', type=lambda v: v == 'true')", "--fast is compared with 'true'"),
        ("p.add_argument('--fast', type=lambda v: v in ('1', 'yes'))", "is compared with '1'"),
        (
            "def to_bool(v): return v in ['true', True]\np.add_argument('--fast', type=to_bool)",
            "--fast is compared with 'true', and gets True or False",
        ),
        (
            "p.add_argument('--fast', default='false')\nfast = args.fast == 'true'",
            "--fast is compared with 'true'",
        ),
        ("p.add_argument('--fast', type=str)\nif fast != 'no': go()", "is compared with 'no'"),
    ],
)
def test_a_text_that_may_be_taken_for_true_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, options)
    (tmp_path / "study.yaml").write_text(json.dumps(study()))
    result = check_study("study.yaml")
    (note,) = [note for note in result.plans[0].notes if note.path == "parameters.fast"]
    assert note.severity == "warning"
    assert message in note.text
    assert note.text.endswith("use action=argparse.BooleanOptionalAction, or set trial.switches")


def test_arguments_that_are_read_without_a_parser_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import sys\nvalues = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
    (tmp_path / "train.py").write_text(code)
    notes = plan(Study.model_validate(study()), "local").notes
    assert {note.path for note in notes if "sys.argv has False as a text" in note.text} == {
        "parameters.fast",
        "constants.plain",
    }
    for more in ("import click", "fast = values['--fast'] == 'True'", "literal_eval(value)"):
        (tmp_path / "train.py").write_text(code + more)
        notes = plan(Study.model_validate(study()), "local").notes
        assert [note.text for note in notes if note.path == "parameters.fast"] == [], more


@pytest.mark.parametrize(
    "options",
    [
        "p.add_argument('--fast', type=bool)",
        "p.add_argument('--fast', **{'type': bool})",
        "p.add_argument('--fast', **dict(action='store_true'))",
        "p.add_argument('--fast', action='store_true')",
        "p.add_argument('--fast', action='store_true', default=False)",
        "p.add_argument('--fast', action=BooleanOptionalAction, default=True)",
        "p.add_argument('--fast', type=str2bool, default=False)",
        "p.add_argument('--fast', choices=['True', 'False'])\nfast = args.fast == 'True'",
        "p.add_argument('--faster', action='store_true', default=True)",
        "p.add_argument('--fast', default='False')",
        "p.add_argument('--fast')\nargs.fast = args.fast == 'True'",
        "p.add_argument('--fast', default=False)\nfast = args.fast.lower() in ('yes', 'true')",
        "p.add_argument('--fast', type=str)\nif args.fast != 'False': go()",
        "p.add_argument('--fast')\nfast = bool(strtobool(args.fast))",
        "p.add_argument('--fast')\nfast = distutils.util.strtobool(vars(args)['fast'])",
        "p.add_argument('--fast')\nfast = ast.literal_eval(args.fast)",
        "p.add_argument('--fast')\nfast = json.loads(getattr(args, 'fast'))",
        "p.add_argument('--fast')\nfast = {'True': True, 'False': False}[args.fast]",
        "p.add_argument('--fast', dest='quick')\nquick = args.quick == 'True'",
        "p.add_argument('--fast')\nargs = {k: v == 'True' for k, v in vars(args).items()}",
        "p.add_argument('--fast')\ndef main(fast):\n    return fast == 'True'\nmain(args.fast)",
        "for n in NAMES: p.add_argument('--' + n, type=str2bool)",
        "for n in NAMES: p.add_argument('--' + n, type=lambda v: v == 'True')",
        "for n in NAMES: p.add_argument('--' + n, type=float)\np.add_argument('--fast', type=eval)",
        "for n in NAMES: p.add_argument('--' + n, action='store_true')",
        "for n in NAMES: p.add_argument('--' + n, type=float)",
        "p.add_argument('--fast', type=lambda text: text == 'True')",
        "p.add_argument('--fast')\nmatch args.fast:\n    case 'True': go()",
        "@click.option('--fast', default=False)\ndef main(fast): ...",
        "@click.option('--fast', type=bool)\ndef main(fast): ...",
        "import jsonargparse\np.add_argument('--fast', type=bool)",
        "p.add_argument('data')",
        "p.add_argument('--fast', type=lambda v: v.lower() == 'true')",
        "p.add_argument('--fast', type=lambda v: str(v).lower() in ('true', '1'))",
        "def to_bool(v):\n    v = v.lower()\n    return v == 'true'\n"
        "p.add_argument('--fast', type=to_bool)",
        "def to_bool(v):\n    return v in ('true', 'True')\np.add_argument('--fast', type=to_bool)",
        "p.add_argument('--fast', type=lambda v: v in WORDS or v == 'yes')",
        "p.add_argument('--fast', type=lambda v: v == '1' or v[0] in 'tT')",
        "def to_bool(v): return v == 'yes' or re.match('[Tt]', v)\n"
        "p.add_argument('--fast', type=to_bool)",
        "p.add_argument('--fast', default='auto')\nif args.fast != 'auto': str2bool(args.fast)",
        "p.add_argument('--fast_mode', action='store_true')",
        "p.add_argument('--fast')\np.add_argument('--fast_mode', type=bool)\nargs.fast == 'True'",
        "p.add_option('--fast', type='int')",
        "import click\n@click.option('--fast', default=False)\ndef main(fast): ...",
        "import click\n@click.option('--fast', is_flag=True)\ndef main(fast): ...",
        "import click\n@click.option('--fast', type=bool)\ndef main(fast): ...",
        "import click\n@click.option('--fast/--slow')\ndef main(fast): ...",
    ],
)
def test_other_options_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, options)
    planned = plan(Study.model_validate(study()), "local")
    assert not planned.refused
    assert [note for note in planned.notes if note.path == "parameters.fast"] == []


def test_values_that_are_not_options_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "p.add_argument('--fast', action='store_true', default=True)")
    assert not plan(Study.model_validate(study("env")), "local").refused
    unused = study() | {"trial": {"script": "train.py", "switches": {"fast": "--fast/--slow"}}}
    assert not plan(Study.model_validate(unused), "local").refused
