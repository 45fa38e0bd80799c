"""No test has a deadline that a busy machine misses.

A deadline that is deliberately short, since it is itself under test or since nothing is to happen
within it, has a comment in its line: ``# short: WHY``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
KIT = TESTS.parent / "cloudtune" / "testing"
"""The tests that every provider passes."""
SCRIPTS = TESTS / "cloudtune" / "doctor" / "scripts"
"""What the doctor looks at, some with mistakes; no tests."""
LEAST = 100
"""Seconds: where many processes share a processor, one may take a minute to start."""
LEAST_TIMEOUT = 900
"""Seconds for a whole test, which pytest has by default."""
MARK = "# short: "
WAITS = {"acquire", "communicate", "join", "result", "settimeout", "wait", "wait_for"}
"""Calls whose first argument is a deadline if it is a number."""
CLOCKS = {"monotonic", "perf_counter", "process_time", "time"}


def short_deadlines(source: str) -> list[int]:
    """Return the lines of the deadlines that are too short and have no mark."""
    tree, lines = ast.parse(source), source.splitlines()
    constants = dict(_constants(tree))
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.expr))
    short = {node.lineno for node in nodes if _is_short(node, constants)}
    short |= {node.lineno for node in _defaults(tree) if _is_small(node, constants)}
    return sorted(line for line in short if MARK not in lines[line - 1])


def _defaults(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield the values that a deadline of a function has by default."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            positional = node.args.posonlyargs + node.args.args
            defaults = [*reversed(node.args.defaults), *reversed(node.args.kw_defaults)]
            named = [*reversed(positional)][: len(node.args.defaults)]
            named += reversed(node.args.kwonlyargs)
            for each, default in zip(named, defaults, strict=True):
                if default is not None and each.arg in {"seconds", "timeout"}:
                    yield default


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _is_short(node: ast.expr, constants: dict[str, ast.expr]) -> bool:
    if isinstance(node, ast.Call):
        if ast.unparse(node.func).endswith("mark.timeout"):
            return _is_small(node.args[0], constants, LEAST_TIMEOUT)
        limits = [each.value for each in node.keywords if each.arg == "timeout"]
        if isinstance(node.func, ast.Attribute) and node.func.attr in WAITS:
            limits += node.args[:1]
        return any(_is_small(limit, constants) for limit in limits)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):  # clock() + seconds
        return _reads_clock(node.left) and _is_small(node.right, constants)
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt | ast.LtE):
        left = node.left  # clock() - begin < seconds
        is_time = isinstance(left, ast.BinOp) and isinstance(left.op, ast.Sub)
        return is_time and _reads_clock(left) and _is_small(node.comparators[0], constants)
    return False


def _is_small(node: ast.expr, constants: dict[str, ast.expr], least: int = LEAST) -> bool:
    if isinstance(node, ast.Name):
        node = constants.get(node.id, node)
    value = node.value if isinstance(node, ast.Constant) else None
    return type(value) in {int, float} and isinstance(value, int | float) and value < least


def _reads_clock(node: ast.AST) -> bool:
    return any(
        isinstance(each, ast.Call)
        and (each.func.attr if isinstance(each.func, ast.Attribute) else "") in CLOCKS
        for each in ast.walk(node)
    )


@pytest.mark.slow
def test_deadlines_are_generous() -> None:
    found = [
        f"{file.relative_to(TESTS.parent)}:{line}"
        for file in sorted({*TESTS.rglob("*.py"), *KIT.rglob("*.py")} - {*SCRIPTS.rglob("*.py")})
        for line in short_deadlines(file.read_text("utf-8"))
    ]
    assert not found, (
        f"allow {LEAST} seconds ({LEAST_TIMEOUT} for a whole test), or add {MARK}WHY to the line"
    )


@pytest.mark.parametrize(
    "line",
    [
        "inbox.get(timeout=0.5)",
        "process.wait(3)",
        "process.communicate(timeout=SHORT)",
        "thread.join(SHORT)",
        "due = time.monotonic() + 2",
        "assert time.monotonic() - begin < 1.5",
        "assert time.perf_counter() - begin <= SHORT",
        "def wait_for(condition, *, seconds: float = 1.5): ...",
        "pytestmark = pytest.mark.timeout(SHORT)",
    ],
)
def test_short_deadlines_are_found(line: str) -> None:
    assert short_deadlines(f"SHORT = 0.1\n{line}") == [2]
    assert not short_deadlines(f"SHORT = 0.1\n{line}  {MARK}nothing is to come")
    for short in ("0.5", "1.5", "(3)", "+ 2", "SHORT"):
        line = line.replace(short, short.replace(short.strip("()+ "), "900"))
    assert not short_deadlines(f"SHORT = 0.1\n{line}")


@pytest.mark.parametrize(
    "line",
    ["', '.join(words)", "pool.join()", "assert time.time() - before > 1", "wait(path)"],
)
def test_other_numbers_are_no_deadlines(line: str) -> None:
    assert not short_deadlines(line)
