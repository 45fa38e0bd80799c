"""Code that is at a service already and starts there without cloudtune's launcher.

The launcher writes options as the script's parser has them. A service has one form for all of
them, ``--name True``, which a switch without a value does not accept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cloudtune.diagnostics import Finding, Note
from cloudtune.launcher.switches import switch_words
from cloudtune.planning.bool_options import boolean_paths
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import has_code
from cloudtune.study.schema import Json
from cloudtune.study.study import Study

_SWITCHES = "switches_of_copy"
"""The data of a lookup with the switches of the code's copy on this machine, by name."""


def read_switches(study: Study, base: Path) -> Json:
    """Return the switches that the copy of the code on this machine has, as data of a lookup.

    The copy is in the folder that the study gives for this machine or for any provider. The result
    is empty if there is none.
    """
    sources = study.trial.source or {}
    folders = (base / Path(sources[key]).expanduser() for key in ("local", "*") if key in sources)
    folder = next((str(path) for path in folders if path.is_dir()), None)
    if folder is None:
        return {}
    call = study.trial.model_dump(include={"script", "module", "command", "arguments"})
    return {_SWITCHES: switch_words(call, boolean_paths(study), folder)}


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
    for name in declared.keys() - boolean_paths(study).keys():
        yield Finding("dropped", f"trial.switches.{name}", f"{why} --{name} VALUE")
