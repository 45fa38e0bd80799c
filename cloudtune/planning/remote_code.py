"""Code that is at a service already and starts there without cloudtune's launcher.

The launcher writes options as the script's parser has them. A service has one form for all of
them, ``--name True``, which a switch without a value does not accept, and no ``--other-name``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cloudtune.diagnostics import Finding, Note
from cloudtune.launcher.call import placeholder_names
from cloudtune.launcher.options import option_words
from cloudtune.launcher.switches import switch_words
from cloudtune.planning.bool_options import boolean_paths
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import has_code
from cloudtune.study.schema import Json
from cloudtune.study.study import Study

_SWITCHES = "switches_of_copy"
"""The data of a lookup with the switches of the code's copy on this machine, by name."""
_OPTIONS = "options_of_copy"
"""The same with its options that are not ``--name``, of names with several letters."""


def read_switches(study: Study, base: Path) -> Json:
    """Return switches and options of the code's copy on this machine, as data of a lookup.

    The copy is in the folder that the study gives for this machine or for any provider. The result
    is empty if there is none.
    """
    sources = study.trial.source or {}
    folders = (base / Path(sources[key]).expanduser() for key in ("local", "*") if key in sources)
    folder = next((str(path) for path in folders if path.is_dir()), None)
    if folder is None:
        return {}
    call = study.trial.model_dump(include={"script", "module", "command", "arguments"})
    words = [*(study.trial.command or ()), *study.trial.args]
    placed = placeholder_names(words)
    passed = [*study.argument_names, *study.script_constants]
    names = [name for name in passed if len(name) > 1 and name not in placed]
    return {
        _SWITCHES: switch_words(call, boolean_paths(study), folder),
        _OPTIONS: option_words(call, names, folder),
    }


def check_switches(study: Study, provider: str, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the booleans that code at a service may not accept as ``--name True``."""
    if facts.lookup.code_address is None or not has_code(study):
        return
    why = "the service starts code that it has already, without cloudtune's launcher, and passes"
    change = f"set a folder as trial.source.{provider}, or let the code accept a value"
    declared = study.trial.switches or {}
    copied: dict[str, str] | None = facts.data.get(_SWITCHES)
    for name, path in boolean_paths(study).items():
        if words := declared.get(name) or (copied or {}).get(name):
            switch = words.strip("/")
            problem = f"--{name} True, which the switch {switch} does not accept"
            if words.endswith("="):
                problem = f"--{name} False, which type=bool reads as true"
            reason = f"{why} {problem}: {change}"
            yield Finding("refused", f"trial.switches.{name}" if name in declared else path, reason)
        elif copied is None:
            text = f"{why} --{name} True or --{name} False: if it is a switch without a value, "
            yield Note(path, text + change, "warning")
    options: dict[str, str] = facts.data.get(_OPTIONS, {})
    for name in sorted(options.keys() - (copied or {}).keys()):
        kind = "constants" if name in study.script_constants else "parameters"
        text = f"{why} --{name}, which the code has only as {options[name]}"
        change = f"set a folder as trial.source.{provider}, or let the code accept it"
        yield Finding("refused", f"{kind}.{name}", f"{text}: {change}")
    for name in declared.keys() - boolean_paths(study).keys():
        yield Finding("dropped", f"trial.switches.{name}", f"{why} --{name} VALUE")
