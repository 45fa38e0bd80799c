from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from cloudtune.execution.forkserver.import_scan import ImportScan, scan_imports


def scan(folder: Path, code: str, **others: str) -> list[str]:
    """Return the modules that a scan of a script finds."""
    return [name for name, _ in read(folder, code, **others).modules]


def read(folder: Path, code: str, **others: str) -> ImportScan:
    for name, text in {"train": code, **others}.items():
        file = folder / (name.replace("__in__", "/") + ".py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text), "utf-8")
    return scan_imports("train.py", folder)


def test_all_forms_of_import_are_found_in_order_with_their_names(tmp_path: Path) -> None:
    code = '''
        #!/usr/bin/env python
        """What it does."""
        from __future__ import annotations
        import a, b.c as d
        from e.f import g as h, i
        from j import *
        try:
            import k
        except ImportError:
            import never
        if TYPE_CHECKING:
            import for_checkers
        import l
    '''
    assert read(tmp_path, code).modules == [
        ("__future__", ("annotations",)),
        ("a", ()),
        ("b.c", ()),
        ("e.f", ("g", "i")),
        ("j", ("*",)),
        ("k", ()),
        ("l", ()),
    ]


@pytest.mark.parametrize(
    "code",
    [
        "os.environ['A'] = '1'",
        "sys.path.insert(0, 'lib')",
        "matplotlib.use('Agg')",
        "load()",
        "x = load()",
        "x = os.environ['A'] = '1'",
        "for x in y: pass",
        "if x: pass",
        "with x: pass",
        "del x",
        "x += 1",
        "try:\n    os.environ['A'] = '1'\nfinally:\n    pass",
        "from . import x",
    ],
)
def test_the_scan_ends_where_a_later_import_could_change(tmp_path: Path, code: str) -> None:
    assert scan(tmp_path, f"import first\n{code}\nimport later") == ["first"]


@pytest.mark.parametrize(
    "code",
    [
        "'a text'",
        "X = 1",
        "X: int = -1",
        "X = Y = [1, {'a': (2,)}]",
        "def f():\n    import within",
        "class C:\n    import within",
        "async def f(): load()",
        "warnings.filterwarnings('ignore')",
    ],
)
def test_definitions_do_not_end_the_scan(tmp_path: Path, code: str) -> None:
    assert scan(tmp_path, f"import first\n{code}\nimport later") == ["first", "later"]


def test_a_script_that_filters_warnings_is_quiet(tmp_path: Path) -> None:
    assert not read(tmp_path, "import a").quiet
    assert read(tmp_path, "import a\nwarnings.simplefilter('ignore')").quiet


def test_own_modules_are_replaced_by_their_imports(tmp_path: Path) -> None:
    code = "import a\nimport own\nfrom pack import part, name\nimport b"
    others = {
        "own": "import in_own\nimport train\nimport own",
        "pack__in____init__": "import in_pack\nfrom . import beside\nname = 1",
        "pack__in__part": "from ..own import x\nimport in_part",
        "pack__in__beside": "from .part import y",
    }
    assert scan(tmp_path, code, **others) == ["a", "in_own", "in_pack"]
    others["pack__in__part"] = "import in_part"
    assert scan(tmp_path, code, **others) == ["a", "in_own", "in_pack", "in_part", "b"]


def test_the_scan_ends_at_an_own_module_that_could_change_an_import(tmp_path: Path) -> None:
    code = "import a\nimport own\nimport b"
    assert scan(tmp_path, code, own="import c\nimport os\nos.environ['A'] = '1'") == [
        "a",
        "c",
        "os",
    ]


def test_a_module_is_read_with_its_package(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("import first")
    (tmp_path / "pack" / "__main__.py").write_text("import second\nfrom .other import x")
    (tmp_path / "pack" / "other.py").write_text("import third")
    names = [name for name, _ in scan_imports("pack", tmp_path, module=True).modules]
    assert names == ["first", "second", "third"]
    names = [name for name, _ in scan_imports("pack.other", tmp_path, module=True).modules]
    assert names == ["first", "third"]


def test_a_module_outside_the_folder_has_no_imports(tmp_path: Path) -> None:
    assert scan_imports("torch.distributed.run", tmp_path, module=True).modules == []


@pytest.mark.parametrize("data", [b"def f(:", b"import a\0", b"\xff\xfe# -*- coding: no -*-"])
def test_invalid_python_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "train.py").write_bytes(data)
    with pytest.raises((SyntaxError, ValueError)):
        scan_imports("train.py", tmp_path)
