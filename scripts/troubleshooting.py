"""The page docs/troubleshooting.md: messages, what they mean, and what to do."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cloudtune.cli.exit_codes import MEANINGS
from scripts.check_ids import check_ids
from scripts.check_meanings import ACCOUNT, BUNDLE, SCRIPT, Advice

Row = tuple[str, str, str]
"""A message, what it means, and what to do."""
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"
_MISTAKES = ROOT / "tests" / "cloudtune" / "cli" / "newcomer_mistakes.txt"
"""What the command line prints for typical mistakes; a test compares it."""
_HEAD = """# Troubleshooting

```sh
cloudtune doctor study.yaml   # runs the script twice, and finds most of what is below
cloudtune logs                # what the last trial printed
cloudtune status              # how the last run is, and what to do next
```

A message says where, what is wrong, and in parentheses what to do: `study.yaml:4: limit: unknown
key (did you mean limits?)`. Search this page for words of yours.
`python -m scripts.troubleshooting` writes it, from messages that tests compare, and from the code.
"""
_EXITS: Mapping[int, str] = {
    0: "nothing",
    1: "correct what the message names; nothing was started",
    2: "change the field that is `refused`, or choose another provider",
    3: "read the reason in the summary, and `cloudtune logs`; then `cloudtune resume`",
    4: "`cloudtune doctor` shows what the expressions of the metric find",
    130: "`cloudtune resume`",
}
_FINDINGS = (
    (
        "refused",
        "the provider cannot run the study with this field",
        "change it, or choose another provider",
    ),
    (
        "approximated",
        "the provider runs something close to it",
        "accept it, or change the field",
    ),
    (
        "dropped",
        "the provider ignores this field",
        "accept it, or remove the field",
    ),
)
_ADVICE: Mapping[str, str] = {
    "A condition on an unknown parameter": "correct the name",
    "No trials": "correct the number",
    "An initial trial outside the range": "correct the value, or the range",
    "A source folder that does not exist": "correct the path",
    "An unknown provider": "use one of these, or install the package of another one",
    "A script that does not know its arguments": "name parameters as the script's options",
    "A script that prints another text": "correct the expression; `cloudtune doctor` suggests one",
    "A script that lacks a package": "install it; for a service, name it in `trial.requirements`",
    "A script that lacks its data": "give the data as an input (`trial.inputs`)",
    "A script with a mistake": "correct the line; `cloudtune logs` has the whole traceback",
}
"""What to do, by the titles of mistakes whose messages do not say it."""
_TODO = re.compile(
    r"(.+?)(?: \(|; |: )((?:a fixed|add|align|choose|correct|create|did|enclose|fix|for|give|indent"
    r"|install|keep|pass|quote|raise|reduce|remove|set|start|swap|use|write|`cloudtune) ?.+?)\)?"
)
"""A message, and what it advises."""


def troubleshooting_page() -> str:
    """Return the content of the page.

    Raises:
        KeyError: If a message has no advice.
    """
    study, command, trial = _mistakes()
    ids = check_ids()
    code = [(str(code), meaning, _EXITS[code]) for code, meaning in MEANINGS.items()]
    parts = [
        _HEAD,
        _table("Exit codes", "exit code", code),
        _table("The study does not fit a provider", "word", _FINDINGS),
        _table("The study file", "message", study),
        _table("The command", "message", command),
        _table("A trial fails", "reason", trial),
        _table("The doctor: study and script", "id", _checks(SCRIPT, ids)),
        _table("The doctor: what is sent", "id", _checks(BUNDLE, ids)),
        _table("The doctor: account", "id", _checks(ACCOUNT, ids)),
    ]
    return "\n".join(parts)


def _table(title: str, first: str, rows: Iterable[Row]) -> str:
    lines = "".join(
        f"| {_code(message)} | {meaning} | {todo} |\n" for message, meaning, todo in rows
    )
    return f"## {title}\n\n| {first} | what it means | what to do |\n|---|---|---|\n{lines}"


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"


def _checks(advice: Mapping[str, Advice], ids: Mapping[str, set[str]]) -> Iterator[Row]:
    for name, (meaning, todo) in advice.items():
        providers = sorted(ids[name] - {""}) if advice is ACCOUNT else []
        yield name, f"{', '.join(providers)}: {meaning}" if providers else meaning, todo


def _mistakes() -> tuple[list[Row], list[Row], list[Row]]:
    """Return the messages about the study, about the command, and about trials, each once."""
    study, command, trial = dict[str, Row](), dict[str, Row](), dict[str, Row]()
    for part in re.split(r"^# ", _MISTAKES.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        title, call, *lines = part.strip().split("\n")
        rows = study if "check" in call else command
        if lines[0].startswith("failed: "):
            rows, lines = trial, [lines[0].removeprefix("failed: trial 1: ")]
        for line in lines:
            text = re.sub(r"^ *(?:study\.yaml:\d+: )?(?:refused )?", "", line)
            if re.fullmatch(r"\d+ mistakes?\.|.* cannot run this study:", text) or text in study:
                continue
            match = None if title in _ADVICE else _TODO.fullmatch(text)
            message, todo = (match[1], _text(match[2])) if match else (text, _ADVICE[title])
            rows.setdefault(text, (message, title, todo))
    return [*study.values()], [*command.values()], [*trial.values()]


def _text(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "&#124;")


if __name__ == "__main__":
    PAGE.write_text(troubleshooting_page(), "utf-8")
