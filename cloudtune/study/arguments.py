"""The arguments of a study's script."""

from __future__ import annotations

import re
from itertools import dropwhile
from pathlib import Path

from cloudtune.study.regular_files import read_regular
from cloudtune.study.schema import Json
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study


def script_arguments(study: Study, values: dict[str, Value], source: str) -> list[str]:
    """Return the arguments that a script is started with on this machine.

    Those of a command start with its first option or placeholder. Placeholders of inputs that are
    not on this machine are left as they are.

    Args:
        study: The study.
        values: The constants and the active parameters.
        source: The folder of the script, whose code shows how options are written.
    """
    from cloudtune.launcher.call import argument_values, command_line
    from cloudtune.launcher.expressions import with_reader
    from cloudtune.launcher.options import option_words
    from cloudtune.launcher.switches import switch_words

    fields = {"script", "module", "command", "arguments", "switches"}
    call = {**study.trial.model_dump(include=fields), "maps": study.maps}
    options = option_words(call, values, source)
    texts = argument_values(call, values)
    flags = [name for name, value in texts.items() if isinstance(value, bool)]
    switches = switch_words(call, flags, source)
    style: Json = {"arguments": study.trial.arguments, "args": study.trial.args}
    style["reader"] = with_reader(call, source).get("reader")
    style |= {"parameters": study.argument_names, "maps": study.maps}
    words = study.trial.command or ()
    style["command"] = list(dropwhile(lambda w: not w.startswith("-") and "{{" not in w, words))
    return command_line(style, values, _input_paths(study), "", options, switches=switches)


def _input_paths(study: Study) -> dict[str, str]:
    """Return the paths of the inputs that are on this machine."""
    base = Path(study.file).parent if study.file else Path.cwd()
    paths: dict[str, str] = {}
    for name, addresses in study.trial.inputs.items():
        address = addresses.get("local") or addresses.get("*")
        uri = address.uri.removeprefix("file://") if address else "://"
        if "://" not in uri:
            paths[name] = str((base / Path(uri).expanduser()).absolute())
    return paths


_USES_PARAMS = re.compile(
    r"^\s*(from|import)\s+cloudtune\b.*?\bparams\s*\(", re.MULTILINE | re.DOTALL
)


def takes_arguments(study: Study, source: str) -> bool:
    """Return whether the script in a folder gets its parameters as arguments.

    It does not if the study passes them in another way, or if the code calls cloudtune's
    ``params()``, which is empty without cloudtune. Code that cannot be read counts as taking them.
    """
    trial = study.trial
    if trial.arguments in {"env", "none", "json"}:
        return False
    name = trial.script or (trial.module and trial.module.replace(".", "/") + ".py")
    try:
        code = read_regular(Path(source, name)).decode("utf-8", "replace") if name else ""
    except OSError:
        return True
    return not _USES_PARAMS.search(code)
