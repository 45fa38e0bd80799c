"""Checks of the source text: parameters that it does not name, paths of this machine."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from cloudtune.diagnostics import Check
from cloudtune.launcher.call import placeholder_names
from cloudtune.launcher.python_code import parse
from cloudtune.planning.bool_options import FIX_TEXT, stored_bool_options
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.study.arguments import takes_arguments
from cloudtune.study.regular_files import read_regular

_MAX_FILES = 1000
_MAX_BYTES = 512 * 1024
_TEXT = {".py", ".sh", ".bash", ".r", ".jl", ".yaml", ".yml", ".json", ".toml", ".cfg", ".ini", ""}
"""The endings of files that may name parameters."""
_EVERYWHERE = (
    *("/bin", "/dev", "/etc", "/gcs", "/lib", "/opt", "/proc", "/run", "/sbin", "/sys", "/usr"),
    *("/tmp", "/var/tmp"),  # noqa: S108 - names only
)
"""Folders that containers have, or that a service mounts."""
_READS_ARGUMENTS = re.compile(
    r"argv|arg_?parse|ArgumentParser|\b(add_)?argument|getopt|optparse|environ|getenv|__main__\."
    r"|\b(click|typer|fire|absl|hydra|omegaconf|docopt|tyro|sacred|gin|plac|tap|cli|flags"
    r"|cleo|clize|draccus|pyrallis|traitlets|simple_parsing|cloudtune|hypertune|runpy)\b"
    r"|CLI\b|Cli\b|Settings\b",
    re.IGNORECASE,
)
"""What code has that reads arguments, also by libraries."""
_MAX_SHOWN = 5


def read_sources(plan: Plan) -> Mapping[str, str]:
    """Return the text files of the source by name, without large ones and the study itself."""
    source = plan.facts.source
    if source is None:
        return {}
    study = Path(plan.study.file).resolve() if plan.study.file else None
    texts: dict[str, str] = {}
    for name in plan.facts.files or ():
        path = source / name
        if path.suffix.lower() in _TEXT and path.resolve() != study and len(texts) < _MAX_FILES:
            try:
                texts[name] = read_regular(path, _MAX_BYTES).decode("utf-8", "replace")
            except OSError:
                continue
    return texts


def unread_parameters(plan: Plan) -> list[str]:
    """Return the parameters that the source does not seem to read, if they are passed by name.

    If it defines options, these are those without an option of that name, or with hyphens.
    """
    study, source = plan.study, plan.facts.source
    if source is None or not takes_arguments(study, str(source)):
        return []
    text = "\n".join(read_sources(plan).values())
    words = [*(study.trial.command or ()), *study.trial.args]
    placed = placeholder_names(words)
    options = defined_options(plan)
    has_options = bool(options) and study.trial.arguments in {"flags", "equals"}
    return [
        name
        for name in study.argument_names
        if name not in placed
        and not (
            {name, name.replace("_", "-")} & {*options}
            if has_options and len(name) > 1
            else re.search(_spellings(name), text)
        )
    ]


def reads_arguments(plan: Plan) -> bool:
    """Return whether the source may read arguments; True also if that cannot be known.

    It may if a Python file has anything of a parser, of ``sys.argv``, or of cloudtune.
    """
    study = plan.study
    if study.trial.command is not None or not takes_arguments(study, str(plan.facts.source)):
        return True
    texts = [text for name, text in read_sources(plan).items() if name.endswith(".py")]
    return not texts or any(_READS_ARGUMENTS.search(text) for text in texts)


def defined_options(plan: Plan) -> list[str]:
    """Return the names of the long options that the source defines."""
    text = "\n".join(read_sources(plan).values())
    return list(dict.fromkeys(re.findall(r"""['"]--([A-Za-z][\w.-]*)['"/]""", text)))


def unset_variables(plan: Plan) -> list[str]:
    """Return the variables that the source reads without a default, and that are not set here."""
    text = "\n".join(t for name, t in read_sources(plan).items() if name.endswith(".py"))
    pattern = r"""(?:environ\.get|getenv)\(\s*['"](\w+)['"]\s*\)|environ\[\s*['"](\w+)['"]\s*\]"""
    names = [first or second for first, second in re.findall(pattern, text)]
    known = {*os.environ, *plan.study.trial.env, *plan.study.parameters}
    return [name for name in dict.fromkeys(names) if name not in known]


def _spellings(name: str) -> str:
    """Return an expression for a name with dashes or underscores, as a part of other text."""
    parts = [re.escape(part) for part in re.split(r"[-_]", name)]
    return rf"(?<![A-Za-z0-9]){'[-_]'.join(parts)}(?![A-Za-z0-9])"


def check_paths(plan: Plan) -> Iterator[Check]:
    """Yield the absolute paths in the source that exist only on this machine, for services."""
    source = plan.facts.source
    if source is None or not isinstance(plan.settings, CloudSettings):
        return
    shown = 0
    for name, text in read_sources(plan).items():
        for line, path in _absolute_paths(name, text):
            if shown < _MAX_SHOWN:
                shown += 1
                yield Check(
                    severity="warning",
                    area="script",
                    id="path-of-machine",
                    file=shown_path(plan, name),
                    line=line,
                    message=f"{path} exists on this machine only",
                    fix="give the data as an input (trial.inputs), and read its path from "
                    "$CLOUDTUNE_INPUT_NAME, or in trial.args as {{inputs.NAME}}",
                )


def check_options(plan: Plan) -> Iterator[Check]:
    """Yield the options of booleans that may read ``False`` as true."""
    for option in stored_bool_options(plan.facts):
        if not option.is_certain:  # others are refused
            yield Check(
                severity="warning",
                area="script",
                id="option-type",
                path=option.path,
                file=shown_path(plan, option.file),
                line=option.line,
                message=option.problem,
                fix=FIX_TEXT,
            )


def _absolute_paths(name: str, text: str) -> Iterator[tuple[int, str]]:
    if not name.endswith(".py"):
        return
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            path = node.value
            if not re.fullmatch(r"(/|~/)[^\s:*?<>|]{2,200}", path):
                continue
            full = os.path.expanduser(path)  # noqa: PTH111 - a text
            is_common = any(full == each or full.startswith(f"{each}/") for each in _EVERYWHERE)
            if not is_common and full.count("/") > 1 and os.path.exists(full):  # noqa: PTH110
                yield node.lineno, path


def shown_path(plan: Plan, name: str) -> str:
    """Return the path of a file of the source, relative to the working folder if it is below."""
    path, here = (plan.facts.source or Path()) / name, Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
