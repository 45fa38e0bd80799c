"""Who may import whom, and what may be imported early."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache, lru_cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.providers import EMULATED

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "cloudtune" / "testing" / "example_provider"
PROVIDERS = [*sorted((ROOT / "providers").glob("cloudtune_*")), EXAMPLE / "cloudtune_example"]
CORE = sorted(p for p in (ROOT / "cloudtune").rglob("*.py") if not p.is_relative_to(EXAMPLE))
CODE = CORE + [path for provider in PROVIDERS for path in sorted(provider.rglob("*.py"))]

SDKS = frozenset(
    [
        *("azure", "boto3", "botocore", "sagemaker", "google"),
        *("ibm_watson_machine_learning", "ibm_watsonx_ai"),
    ]
)
HEAVY = SDKS | frozenset(
    [
        "optuna",
        "numpy",
        "scipy",
        "torch",
        "pandas",
        "pyarrow",
        "polars",
        "sklearn",
        "regex",
        "psutil",
        "rich",
        "mlflow",
        "sqlalchemy",
        "jinja2",
        "vl_convert",
    ]
)

SDK_FILES = {
    *("client.py", "http.py", "storage.py", "wml/client.py"),
    *("rules/native.py", "images.py"),
}
"""Reach the service, check against the SDK's model of it, look images up in its tables."""

EARLY = {
    "cloudtune/comparison/forest.py": {"numpy"},
    "cloudtune/search/cost_model.py": {"numpy"},
    "cloudtune/search/encoding.py": {"numpy"},
    "cloudtune/search/gaussian_process.py": {"numpy"},
    "cloudtune/search/standardization.py": {"numpy"},
    "cloudtune/search/surrogate.py": {"numpy"},
    "cloudtune/search/hyperband_models.py": {"numpy"},
    "cloudtune/search/pareto.py": {"numpy"},
    "cloudtune/search/hypervolume.py": {"numpy"},
    "cloudtune/search/outcome_models.py": {"numpy"},
    "cloudtune/search/tried_assignments.py": {"numpy"},
    "cloudtune/search/optuna_storage.py": {"optuna"},
}
"""Files that may import a heavy package at the top, since they are themselves imported late.

So may those of strategies, `cloudtune/search/X_search.py`, import numpy.
"""

LONG: dict[str, str] = {}
"""Files of more than 400 lines, each with the reason why it is not two."""

EMULATOR_SEES = {"contract", "emulator", "google_sdk"}
"""Of its own provider: nothing that translates, so that it cannot share a mistake with it."""
EMULATOR_IS_BLIND_TO = {"fitting", "planning", "provider"}
"""Of the core, for the same reason."""


TAGS = {"cloudtune.provider", "cloudtune.trial"}
"""Attributes of runs in MLflow, which are also names of modules."""

FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "common _version diagnostics callbacks",
        "trial",
        "launcher errors",
        "study",
        "fitting results",
        "dialect confirmation",
        "ledger search execution bundle formats",
        "provider",
        "emulation",
        "planning conversion",
        "engine",
        "runs emulator_kit",
        "comparison doctor testing verification",
        "reporting",
        "api",
        "functions attachments",
        "cli",
        "__init__ __main__",
    )
)
"""The modules and packages of the core, from the bottom up. Each imports only from below."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def source(path: Path) -> str:
    """Return the text of a file, with the exports in its stub."""
    stub = path.with_suffix(".pyi")
    return path.read_text("utf-8") + (stub.read_text("utf-8") if stub.exists() else "")


def imports(path: Path, *, top_only: bool = False) -> tuple[str, ...]:
    """Return the full name of each module that a file imports, and of what it takes from it."""
    return _imports(path.read_text("utf-8") if top_only else source(path), top_only)


def strings(path: Path) -> tuple[str, ...]:
    """Return the strings of a file, without those that document something."""
    return _strings(source(path))


_tree = lru_cache(1)(ast.parse)


@cache
def _imports(text: str, top_only: bool) -> tuple[str, ...]:
    tree = _tree(text)
    names: list[str] = []
    for node in _statements(tree) if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            names += [f"{start}.{alias.name}" for alias in node.names]
    return tuple(names)


@cache
def _strings(text: str) -> tuple[str, ...]:
    nodes = list(ast.walk(_tree(text)))
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    constants = (node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docs)
    return tuple(node.value for node in constants if isinstance(node.value, str))


def names_in_strings(path: Path) -> Iterator[str]:
    """Yield the strings of a file that may name a module, as ``a.b`` or ``a.b:Class``."""
    return (text.partition(":")[0] for text in strings(path) if "." in text)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported: no function bodies, nothing for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield other
                yield from _statements(other)
            continue
        yield node
        yield from _statements(node)


def tops(names: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def module_of(path: Path) -> str:
    """Return the dotted name of a file; a package is its ``__init__``."""
    base = next((folder.parent for folder in PROVIDERS if path.is_relative_to(folder)), ROOT)
    return ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")


def import_graph(paths: Iterable[Path]) -> dict[str, set[str]]:
    """Return which of these modules each one imports, wherever the statement is.

    A string with the name of a module counts, since something imports it later.
    """
    files = {module_of(path): path for path in paths}
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        parts = [name.split(".") for name in imports(path)]
        prefixes = ([".".join(each[:n]) for n in range(len(each), 0, -1)] for each in parts)
        imported = {next((p for p in tries if p in files), module) for tries in prefixes}
        named = {name for name in names_in_strings(path) if name in files}
        graph[module] = (imported | named - TAGS) - {module}
    return graph


def package_of(module: str) -> str:
    """Return the top-level module or package of the core that a module belongs to."""
    return module.split(".")[1] if "." in module else "__init__"


def test_there_is_no_import_cycle() -> None:
    TopologicalSorter(import_graph(CODE)).prepare()


def test_each_floor_imports_only_lower_floors() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    graph = import_graph(CORE)
    assert {package_of(module) for module in graph} == set(floor)
    wrong = [
        f"{module} imports {other}"
        for module, others in graph.items()
        for other in others
        if package_of(module) != package_of(other)
        and floor[package_of(module)] <= floor[package_of(other)]
    ]
    assert wrong == []


def test_the_docs_list_the_floors_from_the_top() -> None:
    docs = (ROOT / "docs" / "how-it-works.md").read_text("utf-8")
    names = re.findall(r"^  (\w+)(?:/|\.py) ", docs, re.MULTILINE)
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    assert sorted(names) == sorted(name for name in floor if not name.startswith("_"))
    assert [floor[name] for name in names] == sorted((floor[name] for name in names), reverse=True)


def test_imports_are_absolute() -> None:
    found = {name_of(p): [n for n in imports(p) if n.startswith(".")] for p in CODE}
    assert {name: names for name, names in found.items() if names} == {}


def test_the_core_imports_no_provider() -> None:
    graph = import_graph(CODE)
    core = {module_of(path) for path in CORE}
    assert {module: graph[module] - core for module in core if graph[module] - core} == {}


def test_the_core_names_no_provider() -> None:
    """Other than in examples and addresses: what it must know of one, the provider says."""
    names = {provider.name.removeprefix("cloudtune_") for provider in PROVIDERS[:-1]} - {"local"}
    core = [p for p in CORE if "formats" not in p.parts]  # Ray is also a tool
    found = {name_of(path): names & {*strings(path)} for path in core}
    assert {name: known for name, known in found.items() if known} == {}


def test_the_core_does_not_know_the_command_line() -> None:
    core = [path for path in CORE if "cli" not in path.parts and path.name != "__main__.py"]
    found = {name_of(p): [n for n in imports(p) if n.startswith("cloudtune.cli")] for p in core}
    assert {name: names for name, names in found.items() if names} == {}


def test_a_provider_imports_no_other_provider() -> None:
    for provider in PROVIDERS:
        for path in provider.rglob("*.py"):
            names = [*imports(path), *names_in_strings(path)]
            foreign = tops(names) & {each.name for each in PROVIDERS}
            assert foreign <= {provider.name}, name_of(path)


def test_the_core_imports_no_cloud_sdk_at_all() -> None:
    found = {name_of(path): tops(imports(path)) & SDKS for path in CORE}
    assert {name: names for name, names in found.items() if names} == {}


def test_an_sdk_is_imported_where_it_is_said() -> None:
    for provider in PROVIDERS:
        for path in provider.rglob("*.py"):
            if (
                path.relative_to(provider).as_posix() not in SDK_FILES
                and "emulator" not in path.parts
            ):
                assert not tops(imports(path)) & SDKS, name_of(path)


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    found = {name_of(path): tops(imports(path, top_only=True)) & HEAVY for path in CODE}
    for name, names in found.items():
        if fnmatch(name, "cloudtune/search/*_search.py"):
            names.discard("numpy")
    assert {name: names for name, names in found.items() if names} == EARLY


def emulator_breaches(provider: Path) -> set[str]:
    """Return what an emulator imports that it must not know."""
    found: set[str] = set()
    for path in (provider / "emulator").rglob("*.py"):
        for name in imports(path):
            package, _, rest = name.partition(".")
            module = rest.partition(".")[0]
            if package == provider.name and module not in EMULATOR_SEES:
                found.add(name)
            if package == "cloudtune" and module in EMULATOR_IS_BLIND_TO:
                found.add(name)
    return found


def test_an_emulator_shares_no_mistake_with_its_provider(tmp_path: Path) -> None:
    for provider in PROVIDERS:
        assert emulator_breaches(provider) == set()

    example = tmp_path / "cloudtune_example"
    (example / "emulator").mkdir(parents=True)
    (example / "emulator" / "server.py").write_text(
        "from cloudtune_example.contract import CONTRACT\n"
        "from cloudtune_example.rules import rules\n"
        "from cloudtune.engine.driver import Driver\n"
        "def late():\n    import cloudtune.fitting.fit\n"
    )
    assert emulator_breaches(example) == {"cloudtune_example.rules.rules", "cloudtune.fitting.fit"}


def loaded_by(code: str) -> set[str]:
    """Return the names of the modules that code loads in a new Python, and of their packages.

    What a Python loads by itself does not count: Google's packages make it have a ``google``.
    """
    code = (
        f"import sys\nbefore = set(sys.modules)\ntry:\n    {code}\nfinally:\n"
        "    print(*set(sys.modules) - before, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split("\n")[-2].split())


@pytest.mark.parametrize("module", ["cloudtune", "cloudtune.trial"])
def test_a_script_that_imports_cloudtune_loads_little(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert "cloudtune" in loaded
    assert loaded & (HEAVY | {"click", "pydantic", "ruamel"}) == set()


def test_help_needs_neither_the_study_nor_the_engine() -> None:
    loaded = loaded_by("from cloudtune.cli import main; main(['--help'])")
    assert "click" in loaded
    assert loaded & (HEAVY | {"pydantic", "ruamel"}) == set()


QUICKSTART = str(ROOT / "templates" / "quickstart" / "study.yaml")
NOT_FOR_A_PLAN = frozenset(
    [
        "sqlite3",
        "cloudtune.engine",
        "cloudtune.ledger.records",
        "cloudtune.provider.account",
        "cloudtune.provider.models",
        "cloudtune.provider.stored_plan",
        "cloudtune.provider.uploads",
        "cloudtune.reporting.console.tables",
        "cloudtune.results.events",
        "cloudtune.search.protocol",
        "cloudtune.study.messages",
    ]
)
"""What no check, and no plan without earlier runs, has to load on this machine."""
MOST_MODULES = 135
"""Modules of cloudtune that a check loads at most, so that no one adds many by an import."""


@pytest.mark.parametrize("command", ["check", "plan"])
def test_a_check_loads_only_what_it_needs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path))
    loaded = loaded_by(f"from cloudtune.cli import main; main({[command, QUICKSTART]})")
    assert "pydantic" in loaded
    assert loaded & (HEAVY | NOT_FOR_A_PLAN) == set()
    assert len([name for name in loaded if name.startswith("cloudtune")]) <= MOST_MODULES


@pytest.mark.parametrize("name", EMULATED)
def test_the_check_of_settings_loads_no_other_code_of_a_provider(name: str) -> None:
    words = ["check", QUICKSTART, "--set", f"providers.{name}.mode=auto"]
    loaded = loaded_by(f"from cloudtune.cli import main; main({words})")
    parts = {f"cloudtune_{name}.{part}" for part in ("lookup", "request", "rules", "client")}
    assert f"cloudtune_{name}.settings" in loaded
    assert loaded & (HEAVY | NOT_FOR_A_PLAN | parts) == set()


@pytest.mark.parametrize("provider", ["cloudtune_azure", "cloudtune_sagemaker", "cloudtune_vertex"])
def test_planning_loads_neither_sdk_nor_client_nor_emulator(provider: str) -> None:
    parts = "capabilities, lookup, request, rules, settings"
    loaded = loaded_by(f"import {provider}; from {provider} import {parts}")
    assert {f"{provider}.{part}" for part in parts.split(", ")} <= loaded
    google = {"google.cloud", "google.api_core", "google.auth", "google.protobuf"}
    own = f"{provider}.client", f"{provider}.emulator"
    assert loaded & (google | {*own} | SDKS - {"google"}) == set()

    names = tuple(f"{provider}.{part}" for part in (*parts.split(", "), "prices"))
    graph = import_graph(CODE)
    late = {other for each in graph if each.startswith(names) for other in graph[each]}
    assert not {each for each in late if each.startswith(own)}


def test_a_long_file_has_a_reason() -> None:
    long = {name_of(path) for path in CODE if path.read_text("utf-8").count("\n") > 400}
    assert long == set(LONG)


def test_the_reader_of_imports_sees_what_it_should(tmp_path: Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(
        "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\nelse:\n    import f\n"
        "try:\n    import g\nexcept ImportError:\n    import h\n"
        "class K:\n    import i\ndef late():\n    import j\n"
    )
    assert set(imports(path, top_only=True)) == {"a.b", "c.d", "f", "g", "h", "i"}
    assert set(imports(path)) == {"a.b", "c.d", "e", "f", "g", "h", "i", "j"}
    path.write_text('"""a.b"""\nTABLE = {"c.d": ["e.f:G", "see h.i", "j"]}\n')
    assert set(names_in_strings(path)) == {"c.d", "e.f", "see h.i"}


PARTS = (
    "account",
    "answers",
    "call_record",
    "lookup",
    "pythons",
    "secrets",
    "trial_checks",
    "trial_files",
    "uploads",
)
FACES = {
    *("cloudtune.provider", "cloudtune.formats", "cloudtune.results", "cloudtune.emulator_kit"),
    *(f"cloudtune.provider.{part}" for part in PARTS),
}
"""What a provider imports names from."""
DIRECT: dict[str, set[str]] = {
    "cloudtune_azure": {"launcher"},
    "cloudtune_local": {"bundle", "execution", "launcher", "trial"},
    "cloudtune_ray": {"launcher", "trial"},
    "cloudtune_sagemaker": {"_version", "launcher", "trial"},
    "cloudtune_slurm": {"launcher", "trial"},
    "cloudtune_vertex": {"_version", "planning", "launcher", "trial"},
    "cloudtune_watson": {"_version", "launcher", "trial"},
}
"""The packages from which a provider imports past these, the API of scripts included."""


def test_a_provider_imports_the_core_through_its_faces() -> None:
    for provider in PROVIDERS:
        names = {name for path in provider.rglob("*.py") for name in imports(path)}
        past = {
            name.split(".")[1]
            for name in names
            if name.startswith("cloudtune.") and name.rpartition(".")[0] not in FACES
        }
        assert past <= DIRECT.get(provider.name, set()), provider.name


def exports(face: str) -> dict[str, str]:
    """Return the names that the stub of a package exports, with the modules that define them."""
    stub = ROOT.joinpath(*face.split("."), "__init__.pyi")
    lines = stub.read_text("utf-8").splitlines() if stub.exists() else []
    return {line.split()[-1]: line.split()[1] for line in lines}


def test_each_name_has_one_face() -> None:
    homes: dict[str, set[str]] = {}
    for face in sorted(FACES - {"cloudtune.emulator_kit"}):
        for name, home in exports(face).items():
            homes.setdefault(f"{home}.{name}", set()).add(face)
            assert home not in FACES, f"{name} is in {face} and in {home}"
    assert {name: faces for name, faces in homes.items() if len(faces) > 1} == {}
