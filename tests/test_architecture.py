"""Imports point one way; what stands right of the arrow must not know what stands left of it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("losses", "yolactpp", "sweeps", "conf")

# A module may import, of the project's own, only from its own package and from these.
LEAVES = {"yolactpp.structures", "yolactpp.run_dir", "yolactpp.identity", "yolactpp.stopwatch"}
ALLOWED = {
    "losses": set(),
    "yolactpp.structures": set(),
    "yolactpp.run_dir": set(),
    "yolactpp.identity": set(),
    "yolactpp.ops": LEAVES,
    "yolactpp.data": LEAVES | {"yolactpp.ops"},
    "yolactpp.model": LEAVES | {"yolactpp.ops"},
    "yolactpp.maskrcnn": LEAVES | {"yolactpp.ops", "yolactpp.model"},
    "yolactpp.criterion": LEAVES | {"yolactpp.ops"},
    "yolactpp.inference": LEAVES | {"yolactpp.ops"},
    "yolactpp.evaluation": LEAVES | {"yolactpp.ops"},
    "yolactpp.engine": LEAVES | {"yolactpp.evaluation", "yolactpp.inference"},
    "yolactpp.prediction": LEAVES
    | {"yolactpp.ops", "yolactpp.data", "yolactpp.evaluation", "yolactpp.engine.failures"},
    "yolactpp.exporting": LEAVES
    | {"yolactpp.ops", "yolactpp.data", "yolactpp.model", "yolactpp.inference"},
}


def modules() -> list[tuple[str, Path]]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found.append((name.removesuffix(".__init__"), path))
    return found


def own_imports(path: Path) -> set[str]:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in imported if name.split(".")[0] in PACKAGES}


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def is_entry_point(path: Path) -> bool:
    return 'if __name__ == "__main__"' in path.read_text()


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package: str) -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules()
        if inside(name, package) and not is_entry_point(path)
        for imported in sorted(own_imports(path))
        if not any(inside(imported, each) for each in {package} | ALLOWED[package])
    ]
    assert wrong == []


def test_only_build_and_entry_points_see_the_configuration() -> None:
    below = ("losses", *(name for name in ALLOWED if name != "losses"))
    wrong = [
        name
        for name, path in modules()
        if any(inside(name, package) for package in below)
        and not is_entry_point(path)
        and ("import omegaconf" in path.read_text() or "from omegaconf" in path.read_text())
    ]
    assert wrong == []


def test_sweeps_and_run_folders_are_read_without_torch() -> None:
    names = [
        name
        for name, path in modules()
        if inside(name, "sweeps") and not name.endswith("__main__") and not is_entry_point(path)
    ]
    names += ["yolactpp", "yolactpp.run_dir", "yolactpp.identity"]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
