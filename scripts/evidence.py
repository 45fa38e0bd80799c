"""Writes docs/evidence.md: what each operation and field of the services rests on.

Recordings come first: a field that tests/recordings has is recorded, with the date of the newest
answer that has it. The rest is in docs/evidence.json. Run it in the repository:

    python scripts/evidence.py
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cloudtune.provider import registry
from cloudtune.study.yaml_reader import is_list, is_map

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "evidence.md"
DATA: dict[str, Any] = json.loads((ROOT / "docs" / "evidence.json").read_text("utf-8"))
RECORDINGS = ROOT / "tests" / "recordings"
MAPS = frozenset(
    [
        *("HyperParameters", "StaticHyperParameters", "TunedHyperParameters", "Environment"),
        *("labels", "custom", "environment_variables", "input_data", "predictions", "schema"),
        *("environmentVariables", "inputs", "outputs", "searchSpace", "tags"),
    ]
)
"""Fields whose keys are the user's own."""
INTRO = """\
# What rests on what

```sh
cloudtune verify sagemaker --emulate   # a rehearsal on this machine
```

cloudtune itself has never run against Amazon SageMaker, Google Vertex AI, Azure Machine Learning
or IBM's services. What it knows about them comes from four sources. This page lists the source for
each operation that cloudtune or its emulators use, and for each field of the answers that were
recorded:

- **recorded**, with the date of the newest answer: an answer that the live service gave to
  somebody else, in [tests/recordings](../tests/recordings/README.md). Tests replay each call
  against the emulator and compare states, keys, types, errors and texts; the accepted differences
  are in `accepted.json` there. The clients and `cloudtune attach` read each answer, too.
- **model**: the service's own machine-readable description, which its SDK contains.
- **client** and **documentation**: the service's own client names the field, or its pages do.
- **not verified**: chosen or inferred.

`scripts/evidence.py` writes this page from the recordings and from `evidence.json`.

## Verify a service

If you have an account, you can answer sentences of this page that are not verified. Each service
has a table of them, with the reason if no small job can answer one:

```sh
cloudtune verify sagemaker -o verify.json --set providers.sagemaker.region=us-east-1 \\
  --set providers.sagemaker.role_arn=arn:aws:iam::111122223333:role/train \\
  --set providers.sagemaker.image=111122223333.dkr.ecr.us-east-1.amazonaws.com/train:1
cloudtune verify verify.json           # sends what the saved plan shows
```

Up to five small jobs run at the same time, the steps of the plan: one that completes, one whose
trials the service stops early, one that is stopped, one whose script fails, and one that reaches
its time limit. A step that would show nothing of a service is not run, and the plan says why.

The plan shows what your machine costs at most, also if cloudtune is killed: the sum of what the
service's own limits allow, which must be at most 5 USD. If cloudtune's list has a higher price than
you give, that counts, and machines of SageMaker and Vertex AI that are not in the list are refused,
and so are volumes above 30 GB on SageMaker and `native`, whose costs cloudtune does not know. The
plan also says what its cost does not count.

IBM publishes no price in money and ends no deployment job at a time limit. There the maximum rests
on the price that you give, so only one node of the sizes `XS` and `S` is accepted. It does not
count the time for which jobs run on while cloudtune is not running, nor that in IBM's queue.

After 25 minutes all jobs are stopped, and after 30 minutes the command returns, whatever the
service does. A saved plan is run once, and only if it is what would be planned now.
It needs 64 MB for the state folder and in `TMPDIR`, and starts nothing without.

The command then prints what the answers of the service show, and writes them as recordings: no
names, accounts, addresses and secrets are in them. They are in a new folder each time. Only known
words of the services stay, also in messages; all else becomes a number or `#`. Read them before you
send them. After Ctrl-C, they have what was seen until then, and say `cut_short`.
`CLOUDTUNE_RECORDINGS=FOLDER` replays them against the emulators.

An address on this machine counts as that of an emulator: it needs no saved plan, its cost is not
checked, and its recordings say `emulated`, so they are no evidence. If `AWS_ENDPOINT_URL` or a
profile leads to another address that is not Amazon's, such as that of a gateway, the recordings say
`other_address`, and are no evidence either. Do not verify a service through
a tunnel or a proxy on this machine.

Everything is stopped and removed at the end, with what the trials wrote, and so it is after Ctrl-C
or a kill: by a process that outlives the command, or by the next `cloudtune verify` with
the same state folder. SageMaker keeps the descriptions of training jobs,
and the bucket of your account that is the default stays. If the state folder is gone, too, look in
the console for jobs, and folders of the bucket, whose names begin with `verify-`.

SageMaker and Vertex AI are verified with their own tuners, and IBM with deployment jobs: they run
on IBM Cloud by the minute, and [two of the five steps](watson.md#verification) show something
there. Trainings and WML Accelerator need a cluster of your own, and have no
price there; with `--set providers.watson.backend=wml`, or `wmla`, they run, too.

"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")


def page() -> str:
    """Return the text of the page."""
    reasons = {name: registry.get(name).not_verifiable for name in registry.names()}
    parts = [INTRO]
    for name, reason in reasons.items():
        if reason:
            text = f"`{name}` has no verification: {reason}."
            parts.append("\n".join(textwrap.wrap(text, 100)) + "\n")
    for service, about in DATA.items():
        recorded = recorded_fields(service)
        parts.append(f"## {about['title']}\n\nModel: {about['model']}.\n")
        rows = [
            f"| `{name}` | {_basis(about, each, recorded.get(name))} |"
            for name, each in _all(about)
        ]
        parts.append("\n".join(["| operation | rests on |", "|---|---|", *rows]) + "\n")
        parts.append("A field that is not listed rests on what its operation rests on.\n")
        others = [
            f"| {name} | {', '.join(f'`{call}`' for call in each['calls'])} | {each['rests on']} |"
            for name, each in about["others"].items()
        ]
        table = ["| other service | calls and rights | rests on |", "|---|---|---|", *others]
        parts.append("\n".join(table) + "\n")
        for name, each in _all(about):
            if name in recorded or each.get("fields"):
                parts.append(_fields(name, about, each, recorded.get(name, {})))
        if refusals := about.get("refusals"):
            text = "All operations but `GetToken` refuse in this form:\n\n"
            section = _fields("Refusals", about, {"fields": refusals}, {})
            parts.append(section.replace("\n\n", f"\n\n{text}", 1))
        parts.append(_open_questions(about))
    return "\n".join(parts)


def recorded_fields(service: str) -> dict[str, dict[str, str]]:
    """Return the newest date of each recorded field, by operation."""
    found: dict[str, dict[str, str]] = {}
    operations: dict[str, dict[str, Any]] = DATA[service]["operations"]
    names = {each.get("recorded as"): name for name, each in operations.items()}
    for file in sorted((RECORDINGS / service).glob("*.json")):
        recording = json.loads(file.read_text("utf-8"))
        if recording.get("emulated") or recording.get("other_address"):  # they are no evidence
            continue
        for item in recording["sequence"]:
            date, operation = _date(recording, item), item["operation"]
            if _other_kind(item["answer"]):
                continue
            operation = names.get(operation) or operation.partition(" ")[0]
            dates = found.setdefault(operation, {})
            for path in fields(_as_answered(item)):
                dates[path] = max(date, dates.get(path, ""))
            dates[""] = max(date, dates.get("", ""))
    return found


def _as_answered(item: dict[str, Any]) -> Any:
    """Return an answer as its operation has it, also if an SDK has printed a part of it.

    A printed trial also has the fields that are empty, and a printed step the time of day.
    """
    answer = item["answer"]
    if item["operation"].endswith("(one trial)"):
        return {
            "trials": [{name: value for name, value in answer.items() if value not in ("", [])}]
        }
    if is_map(answer) and "transitions" in answer:
        steps = {"SecondaryStatusTransitions": [{"Status": "", "StatusMessage": ""}]}
        return steps | {name: value for name, value in answer.items() if name != "transitions"}
    return answer


def _other_kind(answer: Any) -> bool:
    """Return whether an answer is a job of Azure of a kind that cloudtune does not use."""
    properties: Any = answer.get("properties") if is_map(answer) else None
    kind: Any = properties.get("jobType") if is_map(properties) else None
    return kind not in {None, "Command", "Sweep"}


def _date(recording: dict[str, Any], item: dict[str, Any]) -> str:
    """Return the day of a call; of a collection of texts the newest year that is certain."""
    years: list[str] = re.findall(r"\b20\d\d\b", " ".join(item.get("seen", ())))
    return max(years) if years else str(recording["date"]).partition(" ")[0]


def fields(answer: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the fields of an answer."""
    if is_map(answer):
        for name, value in answer.items():
            yield f"{path}{name}"
            if name not in MAPS:
                yield from fields(value, f"{path}{name}.")
    elif is_list(answer):
        for item in answer:
            yield from fields(item, f"{path.removesuffix('.')}[].")


def listed(service: str, operation: str) -> Callable[[str], bool]:
    """Return whether the page lists a field of an operation; others than recorded ones cover more.

    A field that is not recorded stands for all fields below it. All operations of a service refuse
    in one form. The emulators of services with a model have only fields of the model.
    """
    if "other fields" in DATA[service]:
        return lambda _path: True
    entry: dict[str, Any] = DATA[service]["operations"].get(operation, {})
    more = (entry.get("fields", {}), DATA[service].get("refusals", {}))
    others = tuple(path for fields in more for paths in fields.values() for path in paths)
    dates = recorded_fields(service)
    refusals = {path for paths in dates.values() for path in paths if path.startswith("error")}
    recorded = dates.get(operation, {}).keys() | refusals
    below = tuple(f"{path}{mark}" for path in others if path not in recorded for mark in ".[")
    return lambda path: path in recorded or path in others or path.startswith(below)


def _all(about: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(about["operations"].items())


def _basis(about: dict[str, Any], entry: dict[str, Any], dates: dict[str, str] | None) -> str:
    if dates is None:
        return str(entry["rests on"])
    others = sorted({basis for basis, paths in entry.get("fields", {}).items() if paths})
    others = [about["other fields"]] if "other fields" in about else others
    more = f"; other fields: {', '.join(others)}" if others else ""
    return f"recorded {dates['']}{more}"


def _fields(name: str, about: dict[str, Any], entry: dict[str, Any], dates: dict[str, str]) -> str:
    by_basis: dict[str, list[str]] = {}
    for path, date in dates.items():
        if path:
            by_basis.setdefault(f"recorded {date}", []).append(path)
    for basis, paths in entry.get("fields", {}).items():
        rest = [path for path in paths if path not in dates]
        if rest:
            by_basis.setdefault(basis, []).extend(rest)
    if not by_basis:
        return ""
    if "other fields" in about:
        by_basis[about["other fields"]] = ["all other fields"]
    lines = [f"### {name}\n"]
    for basis, paths in sorted(by_basis.items(), reverse=True):
        words = [path if " " in path else f"`{path}`" for path in sorted(paths)]
        text = f"- {basis}: {', '.join(words)}"
        lines += textwrap.wrap(
            text, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines) + "\n"


def _open_questions(about: dict[str, Any]) -> str:
    """Return each sentence that is not verified, and what answers it."""
    lines = [
        f"### {about['title']}: not verified\n",
        "`cloudtune verify` answers those with **check**, as far as the service shows it:\n",
        "| not verified | answer |",
        "|---|---|",
    ]
    for each in about["not verified"]:
        lines.append(f"| {each['sentence']} | {each.get('no job', '**check**')} |")
    return "\n".join(lines) + "\n"


def questions(service: str) -> list[str]:
    """Return the sentences that a verification of a service answers."""
    names = registry.names()
    name = next(each for each in names if service in (each, registry.get(each).recorded_as))
    return [each.question for each in registry.get(name).verify(())]


if __name__ == "__main__":
    main()
