"""Options of the commands, parsed and refused as GNU ``getopt_long`` does."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Argument = Literal["none", "required", "optional"]
_SIZES = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}


class CommandError(Exception):
    """A command ends with these lines on its standard error."""

    def __init__(self, *lines: str, code: int = 1) -> None:
        super().__init__("\n".join(lines))
        self.code = code


@dataclass(frozen=True)
class Option:
    """An option of a command."""

    name: str
    letter: str = ""
    argument: Argument = "required"


@dataclass(frozen=True)
class Options:
    """The options of a command."""

    program: str
    known: Sequence[Option]
    code: int = 1
    """The exit code after a mistake."""

    def parse(self, words: Iterable[str]) -> tuple[list[tuple[str, str]], list[str]]:
        """Return the options as names and values, and the words from the first other one.

        Raises:
            CommandError: If an option is unknown or lacks its value.
        """
        rest = list(words)
        result: list[tuple[str, str]] = []
        while rest and rest[0].startswith("-") and rest[0] != "-":
            word = rest.pop(0)
            if word == "--":
                break
            parse = self._parse_long if word.startswith("--") else self._parse_letters
            result += parse(word, rest)
        return result, rest

    def _parse_long(self, word: str, rest: list[str]) -> list[tuple[str, str]]:
        name, equals, value = word[2:].partition("=")
        option = self._find(name)
        if option.argument == "none" and equals:
            raise self.mistake(f"option '--{option.name}' doesn't allow an argument")
        if option.argument == "required" and not equals:
            if not rest:
                raise self.mistake(f"option '--{option.name}' requires an argument")
            value = rest.pop(0)
        return [(option.name, value)]

    def _parse_letters(self, word: str, rest: list[str]) -> list[tuple[str, str]]:
        result: list[tuple[str, str]] = []
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            option = next((each for each in self.known if each.letter == letter), None)
            if option is None:
                raise self.mistake(f"invalid option -- '{letter}'")
            value = ""
            if option.argument != "none":
                value, letters = letters, ""
                if option.argument == "required" and not value:
                    if not rest:
                        raise self.mistake(f"option requires an argument -- '{letter}'")
                    value = rest.pop(0)
            result.append((option.name, value))
        return result

    def _find(self, name: str) -> Option:
        names = {option.name: option for option in self.known}
        if name in names:
            return names[name]
        matches = [option for each, option in names.items() if each.startswith(name)]
        if not matches:
            raise self.mistake(f"unrecognized option '--{name}'")
        if len(matches) > 1:
            listed = " ".join(f"'--{option.name}'" for option in matches)
            raise self.mistake(f"option '--{name}' is ambiguous; possibilities: {listed}")
        return matches[0]

    def mistake(self, text: str) -> CommandError:
        """Return the error for a wrong option."""
        hint = f'Try "{self.program} --help" for more information'
        return CommandError(f"{self.program}: {text}", hint, code=self.code)

    def refuse(self, used: Iterable[str], supported: Iterable[str]) -> None:
        """Refuse options of Slurm that the emulator does not have.

        Raises:
            CommandError: Naming them.
        """
        if lacking := sorted({*used} - {*supported}):
            names = ", ".join(f"--{name}" for name in lacking)
            raise CommandError(f"{self.program}: error: the emulator does not have {names}")


def table(text: str) -> list[Option]:
    """Return options from words such as ``-p,--partition=`` or ``--nice[=]``."""
    result: list[Option] = []
    for word in text.split():
        match = re.fullmatch(r"(?:-(?P<letter>\w),)?--(?P<name>[\w-]+)(?P<argument>=|\[=\])?", word)
        assert match is not None, word
        kinds: Mapping[str | None, Argument] = {None: "none", "=": "required", "[=]": "optional"}
        result.append(Option(match["name"], match["letter"] or "", kinds[match["argument"]]))
    return result


def parse_memory(text: str) -> int | None:
    """Return a size in MB, or None for another text (``--mem`` of sbatch(1), 24.11)."""
    match = re.fullmatch(r"(\d+)([KMGT]?)B?", text.upper())
    if match is None:
        return None
    size = int(match[1]) * _SIZES[match[2] or "M"]
    return max(1, round(size)) if int(match[1]) else 0


def parse_minutes(text: str) -> int | None:
    """Return a time limit in minutes, rounded up; 0 for no limit, None for another text.

    The formats are those of ``--time`` in sbatch(1), 24.11.
    """
    if text.upper() in {"INFINITE", "UNLIMITED"}:
        return 0
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if match is None:
        return None
    days, first, second, third = (None if each is None else int(each) for each in match.groups())
    if days is not None:
        seconds = days * 86_400 + (first or 0) * 3_600 + (second or 0) * 60 + (third or 0)
    elif third is not None:
        seconds = (first or 0) * 3_600 + (second or 0) * 60 + third
    else:
        seconds = (first or 0) * 60 + (second or 0)
    return -(-seconds // 60)


def parse_signal(text: str) -> int | None:
    """Return the number of a signal, or None for another text."""
    if text.isdecimal():
        return int(text) if 0 < int(text) < 65 else None
    name = text.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    return int(signal.Signals[name]) if name in signal.Signals.__members__ else None


def format_seconds(seconds: float) -> str:
    """Return a duration as ``squeue`` prints it: ``1-02:03:04``, ``2:03``."""
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{whole % 60:02}"
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def format_time(seconds: float | None, default: str = "N/A") -> str:
    """Return a point in time as the commands print it."""
    if seconds is None:
        return default
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
