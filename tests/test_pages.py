"""Pages that say what is not so are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages import Reader, draw, picture_text, with_text

RIGHT = """\
```python title="hello.py"
print("hello")
print("took 0.3 s")
print("bye")
```

```sh
pip install nothing
python hello.py
```

```text
hello
took 12 s
bye
```

```sh title="exit code 3"
exit 3
```

```sh
python hello.py
```

![What it prints](hello.svg)

```sh
python hello.py
```

```text
...
bye
```
"""


def follow(folder: Path, text: str) -> None:
    page = folder / "page.md"
    page.write_text(text, "utf-8")
    drawing = draw("hello\ntook 4 s\nbye\n", "python hello.py")
    (folder / "hello.svg").write_text(drawing, "utf-8")
    Reader(page, folder / "work", lambda _report, _name: ("", b""), renew=False).follow()


def test_a_page_that_is_right_is_followed(tmp_path: Path) -> None:
    follow(tmp_path, RIGHT)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("```text\nhello", "```text\nhallo"),
        ("took 12 s\nbye", "took 12 s\nmore\nbye"),
        ("took 12 s\nbye", "took 12 s"),
        ("...\nbye", "...\nhello"),
        ("exit code 3", "exit code 2"),
        ('print("bye")', 'print("good bye")'),
        ("python hello.py\n```\n\n!", "echo hello\n```\n\n!"),
    ],
)
def test_a_page_that_is_wrong_fails(tmp_path: Path, said: str, wrong: str) -> None:
    assert said in RIGHT
    with pytest.raises(AssertionError):
        follow(tmp_path, RIGHT.replace(said, wrong))


def test_a_picture_has_the_text_that_it_shows() -> None:
    end = b"\0\0\0\0IEND\xaeB`\x82"
    assert picture_text(with_text(b"\x89PNG" + end, "≥ 5\n")) == "≥ 5\n"
