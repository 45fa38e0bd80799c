"""The file docs/llms.txt: every page with its first sentence, and what every repository has."""

from __future__ import annotations

import os
import re
from pathlib import Path

_DOCS = Path(__file__).parents[1] / "docs"
_HEAD = """# cloudtune

> One hyperparameter-tuning study, run by any tuning service or on this machine, with one \
results format and one report.

`cloudtune skill` prints how an assistant uses the commands, for the version that is installed.

## Pages

"""


def llms_txt() -> str:
    """Return the content of the file."""
    common = [_DOCS.parent / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md")]
    pages = [*sorted(_DOCS.glob("tutorials/*.md")), *sorted(_DOCS.glob("*.md")), *common]
    return _HEAD + "".join(map(_entry, pages))


def _entry(page: Path) -> str:
    text = re.sub(r"^```.*?^```\n", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    paragraphs = [paragraph.strip() for paragraph in text.split("\n\n")]
    first = next((p for p in paragraphs if p[:1].isalpha() or re.match("`[^`]", p)), "")
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(first.split()))
    sentence = re.split(r"(?<=[.:])\s", plain, maxsplit=1)[0].rstrip(":.")
    path = Path(os.path.relpath(page, _DOCS)).as_posix()
    return f"- [{title[1] if title else page.stem}]({path}): {sentence}.\n"


if __name__ == "__main__":
    (_DOCS / "llms.txt").write_text(llms_txt(), "utf-8")
