"""Imports run one way, the backends share nothing, and the package is light to import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mixcompare
from tests.places import ROOT

PACKAGE = ROOT / "mixcompare"

# From the bottom to the top: a package imports those before it, and itself as long as there is
# no circle, be it in modules, in functions or for types alone.
ORDER = (
    *("base", "pages", "model", "data", "datasets", "prepared", "labels", "simulate", "fits"),
    *(
        "backends",
        "checking",
        "prediction",
        "selection",
        "comparison",
        "auditing",
        "reproduction",
        "report",
    ),
    *("study", "cli"),
)

# What neither backend may take from the other's world.
FORBIDDEN = {
    "backends.em": ("pymc", "pytensor", "nutpie", "arviz", "mixcompare.backends.pymc"),
    "backends.pymc": ("mixcompare.backends.em", "mixcompare.labels.metrics", "scipy.stats"),
}


def modules() -> dict[str, Path]:
    """Dotted names below the package, "" for the package itself."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str, *, lazy: bool) -> Iterator[str]:
    """Absolute names that a module imports; `lazy` adds those inside functions."""
    tree = ast.parse(MODULES[name].read_text())
    for node in ast.walk(tree) if lazy else _at_module_level(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} uses a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                own = inner.removeprefix("mixcompare.") in MODULES
                yield inner if own else str(node.module)


def _at_module_level(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from _at_module_level(child)


def own_imports(name: str, *, lazy: bool) -> set[str]:
    """Modules of the package that a module imports, named as in `MODULES`."""
    found = set()
    for target in imports(name, lazy=lazy):
        if target == "mixcompare" or target.startswith("mixcompare."):
            inner = target.removeprefix("mixcompare").removeprefix(".")
            assert inner in MODULES, f"{name} imports {target}, which does not exist"
            found.add(inner)
    return found


def package(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def test_every_package_has_its_place() -> None:
    entries = {p.name for p in PACKAGE.iterdir() if p.suffix != ".pyc" and p.name != "__pycache__"}
    assert entries == {*ORDER, "__init__.py", "py.typed"}
    assert len(entries - {"py.typed"}) <= 20  # which says that the package has types


@pytest.mark.parametrize("name", ORDER)
def test_a_package_says_what_lives_in_it_and_what_it_may_import(name: str) -> None:
    said = ast.get_docstring(ast.parse(MODULES[name].read_text())) or ""
    assert "import" in said, f"mixcompare.{name}: {said!r}"


@pytest.mark.parametrize("name", sorted(set(MODULES) - {""}))
def test_a_module_imports_from_below_only(name: str) -> None:
    level = ORDER.index(package(name))
    for target in own_imports(name, lazy=True):
        assert target, f"mixcompare.{name} imports the top of the package"
        above = ORDER.index(package(target)) > level
        assert not above, f"mixcompare.{name} imports mixcompare.{target} from above"


def test_there_are_no_cycles() -> None:
    graph = {name: own_imports(name, lazy=True) - {name} for name in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


@pytest.mark.parametrize("backend", sorted(FORBIDDEN))
def test_the_backends_share_nothing(backend: str) -> None:
    members = [n for n in MODULES if n == backend or n.startswith(f"{backend}.")]
    assert len(members) > 1
    for name in members:
        for target in imports(name, lazy=True):
            for forbidden in FORBIDDEN[backend]:
                inside = target == forbidden or target.startswith(f"{forbidden}.")
                assert not inside, f"mixcompare.{name} imports {target}"


def reached(name: str) -> set[str]:
    """Modules of the package that a module needs, directly or through others."""
    found: set[str] = set()
    pending = [name]
    while pending:
        for target in own_imports(pending.pop(), lazy=False) - found:
            found.add(target)
            pending.append(target)
    return found


def test_no_backend_reaches_the_other_through_a_third_module() -> None:
    for name in MODULES:
        for one, other in (("backends.em", "backends.pymc"), ("backends.pymc", "backends.em")):
            if name == one or name.startswith(f"{one}."):
                touched = {t for t in reached(name) if t == other or t.startswith(f"{other}.")}
                assert not touched, f"mixcompare.{name} reaches {sorted(touched)}"


def test_names_that_are_imported_late_are_those_that_type_checkers_see() -> None:
    tree = ast.parse(MODULES[""].read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == mixcompare._PLACE
    for name in seen:
        assert callable(getattr(mixcompare, name))
        assert name in dir(mixcompare)


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["pymc", "pytensor", "nutpie", "arviz", "arviz_plots", "arviz_stats", "matplotlib"]
    code = f"import sys, mixcompare; print([m for m in {heavy!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
