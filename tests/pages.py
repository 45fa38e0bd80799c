"""Pages whose commands and files a test follows as a reader would.

A block with a title is a file. The lines of a block of ``sh`` are run; those that install packages
are not. A block with the title ``second terminal`` runs until the page ends; ``exit code N`` is how
one ends. What follows a block of commands, as ``text`` or as a picture, is what they print; a
line ``...`` leaves lines out. A link [`FILE`](PAGE#...) takes a file from another page. To write
outputs and pictures anew: ``CLOUDTUNE_RENEW=1 ./test PATH``.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tests.waiting import wait_until

IDS = ("k7f2wq3n", "m3qdx8wn", "x8wnb5pt", "b5ptk7f2")
"""How a page calls the runs of its reader."""
SECOND = "second terminal"
_BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```\n"
    r"|^!\[[^\]]*\]\((?P<picture>[^)]+\.(?:svg|png))\)\n",
    re.MULTILINE | re.DOTALL,
)
_FROM_PAGE = re.compile(r"\[`([\w.]+)`\]\((\w[\w-]*\.md)#")
_MEASURED = re.compile(r"(?:\d+ (?:h|min) )*\d[\d.]* (?:s|min|h|kB|MB)\b|\d{4}-\d\d-\d\d \d\d:\d\d")
_WIDTH = 100
_END = 12
"""The bytes of the last chunk of a PNG file."""


class Block(NamedTuple):
    """A block of a page, or a picture, and where its content is."""

    language: str
    title: str
    text: str
    span: tuple[int, int]


def blocks(text: str) -> list[Block]:
    """Return the blocks and pictures of a page in order."""
    return [
        Block("picture", "", match["picture"], match.span("picture"))
        if match["picture"]
        else Block(match["language"], match["title"] or "", match["text"], match.span("text"))
        for match in _BLOCK.finditer(text)
    ]


def sections(page: Path) -> dict[str, dict[str, str]]:
    """Return the blocks of each section with commands, by language."""
    found: dict[str, dict[str, str]] = {}
    for section in page.read_text("utf-8").split("\n## ")[1:]:
        by_language = {each.language: each.text for each in blocks(section)}
        if "sh" in by_language:
            found[section.partition("\n")[0]] = by_language
    return found


def call(line: str) -> str:
    """Run a line that is a command of cloudtune, and return what it prints."""
    words = shlex.split(line)
    assert words[0] == "cloudtune"
    words[:1] = [sys.executable, "-m", "cloudtune"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class Reader:
    """Somebody who follows a page in a fresh folder, block by block."""

    page: Path
    folder: Path
    look: Callable[[Path, str], tuple[str, bytes]]
    """Returns the text that a picture of a report shows, and the picture, by its name."""
    renew: bool = field(default_factory=lambda: bool(os.environ.get("CLOUDTUNE_RENEW")))
    _runs: list[str] = field(default_factory=list[str])
    _env: dict[str, str] = field(default_factory=dict[str, str])

    def follow(self) -> None:
        """Do what the page says, and compare what it shows with what is printed.

        Raises:
            AssertionError: If a command fails, or prints something else.
        """
        text = self.page.read_text("utf-8")
        found = blocks(text)
        self.folder.mkdir()
        for name, page in _FROM_PAGE.findall(text):
            others = blocks((self.page.parent / page).read_text("utf-8"))
            (content,) = (each.text for each in others if each.title == name)
            (self.folder / name).write_text(content, "utf-8")
        self._env = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder.parent),
            "COLUMNS": str(_WIDTH),
        }
        changed: list[tuple[tuple[int, int], str]] = []
        with _terminal() as second:
            for block, after in zip(found, [*found[1:], None], strict=True):
                if block.language == "sh" and block.title == SECOND:
                    second(block.text, self.folder, self._env)
                elif block.language == "sh":
                    changed += self._run(block, after)
                elif block.title:
                    (self.folder / block.title).write_text(block.text, "utf-8")
        for (start, end), shown in reversed(changed):
            text = text[:start] + shown + text[end:]
        if self.renew:
            self.page.write_text(text, "utf-8")

    def _run(self, block: Block, after: Block | None) -> list[tuple[tuple[int, int], str]]:
        """Run the lines of a block; return where the page shows what, if that is to be renewed."""
        lines = [line for line in block.text.splitlines() if not _prepares(line)]
        drawn = after is not None and after.text.endswith(".svg")
        variables = self.folder.with_name("variables")
        done = subprocess.run(
            ["bash", "-ec", "\n".join([*lines, f"env -0 > {shlex.quote(str(variables))}"])],
            cwd=self.folder,
            env={**self._env, **({"FORCE_COLOR": "1"} if drawn else {})},
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        code = int(block.title.removeprefix("exit code ") or 0)
        assert done.returncode == code, f"{block.text}\n{done.stdout}"
        if code == 0:
            kept = variables.read_text("utf-8").split("\0")[:-1]
            self._env = {name: value for name, _, value in (each.partition("=") for each in kept)}
            self._env.pop("FORCE_COLOR", None)
        output = self._as_shown(done.stdout)
        if after is None or after.language not in {"text", "picture"}:
            return []
        if after.language == "text":
            shown = _with_gaps(after.text, output)
            if not self.renew:
                _compare(after.text, shown, block.text)
            return [(after.span, shown)]
        picture = self.page.parent / after.text
        if drawn:
            self._check_drawing(picture, output, block.text)
        else:
            self._check_photo(picture, block.text)
        return []

    def _check_drawing(self, picture: Path, output: str, command: str) -> None:
        drawing = draw(output, lines=command.strip())
        if self.renew:
            picture.write_text(drawing, "utf-8")
        _compare(drawn_text(picture.read_text("utf-8")), drawn_text(drawing), command)

    def _check_photo(self, picture: Path, command: str) -> None:
        text, photo = self.look(self.folder / "report.html", picture.name)
        text = self._as_shown(text)
        if self.renew:
            picture.write_bytes(with_text(photo, text))
        _compare(picture_text(picture.read_bytes()), text, command)

    def _as_shown(self, output: str) -> str:
        """Return an output with the names that the page has for runs and folders."""
        runs = self.folder / ".cloudtune" / "runs"
        names = [path.name for path in runs.iterdir()] if runs.is_dir() else []
        self._runs += sorted({name.partition("-")[0] for name in names} - {*self._runs})
        for name, shown in zip(self._runs, IDS, strict=False):
            output = output.replace(name, shown)
        for path in {str(self.folder), str(self.folder.resolve())}:
            output = output.replace(path, f"~/{self.folder.name}")
        return re.sub(r" +$", "", output, flags=re.MULTILINE)


def draw(output: str, lines: str) -> str:
    """Return a picture of a terminal in which commands were run."""
    from rich._export_format import CONSOLE_SVG_FORMAT
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {lines}", style="bold"))
    console.print(Text.from_ansi(output.rstrip("\n")))
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    drawing = console.export_svg(title="", code_format=form, unique_id="t")
    return re.sub(r"\s+$", "", drawing, flags=re.MULTILINE) + "\n"


def drawn_text(drawing: str) -> str:
    """Return the text of a picture of a terminal."""
    lines: dict[float, list[str]] = {}
    for element in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text"):
        if "y" in element.attrib and element.get("clip-path"):
            lines.setdefault(float(element.attrib["y"]), []).append(element.text or "")
    return "".join(f"{''.join(lines[y])}\n" for y in sorted(lines)).replace("\xa0", " ")


def with_text(photo: bytes, text: str) -> bytes:
    """Return a PNG file that also has the text that it shows."""
    kind, content = b"tEXt", b"Description\0" + text.encode("ascii", "backslashreplace")
    check = zlib.crc32(kind + content)
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
    return photo[:-_END] + chunk + photo[-_END:]


def picture_text(photo: bytes) -> str:
    """Return the text of a picture from `with_text`."""
    _, _, rest = photo[:-_END].partition(b"tEXtDescription\0")
    return rest[:-4].decode("unicode_escape")


def masked(text: str) -> str:
    """Return a text without what differs from run to run: measured times, sizes and widths."""
    text = re.sub(r"─+", "─", _MEASURED.sub("#", text))
    return re.sub(r"(?<=\S)[ \xa0]+", " ", text)


def _compare(shown: str, printed: str, command: str) -> None:
    """Assert that two outputs differ only in what is measured, and in where lines are wrapped."""
    pair = [masked(text) for text in (shown, printed)]
    page, output = (text.splitlines() for text in pair)
    lines = difflib.unified_diff(page, output, "page", "printed", lineterm="")
    message = "\n".join([command, *lines, "to renew the page: CLOUDTUNE_RENEW=1"])
    assert pair[0].split() == pair[1].split(), message


def _with_gaps(shown: str, output: str) -> str:
    """Return an output without the lines that the page leaves out."""
    head, gap, tail = shown.partition("...\n")
    if not gap:
        return output
    lines = output.splitlines(keepends=True)
    first, last = head.count("\n"), tail.count("\n")
    assert first + last < len(lines), "nothing is left out"
    return "".join([*lines[:first], gap, *(lines[-last:] if last else [])])


def _prepares(line: str) -> bool:
    return bool(re.match(r"(python3 -m venv|\. venv|pip install|mkdir|cd) ?", line))


@contextmanager
def _terminal() -> Generator[Callable[[str, Path, dict[str, str]], None]]:
    """Yield what runs a command until the end, and returns when it serves."""
    started: list[subprocess.Popen[bytes]] = []

    def run(line: str, folder: Path, env: dict[str, str]) -> None:
        log = folder.with_name("second-terminal")
        with log.open("wb") as file:
            words = ["bash", "-c", f"exec {line}"]
            process = subprocess.Popen(words, cwd=folder, env=env, stderr=file)
        started.append(process)
        wait_until(lambda: "press Ctrl-C" in log.read_text("utf-8") or process.poll() is not None)
        assert process.poll() is None, log.read_text("utf-8")

    try:
        yield run
    finally:
        for process in started:
            process.send_signal(signal.SIGINT)
            process.wait()
