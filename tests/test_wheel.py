"""The packages as somebody installs them: built into a wheel and run from an empty folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PACKAGES = ("conf", "hydra_plugins", "losses", "sweeps", "yolactpp")
COMPILED = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, as setuptools leaves its traces beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / "source" / package, ignore=COMPILED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "source"))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    target = wheel.parent / "target"
    pip("install", "--target", str(target), str(wheel))
    return target


def pip(*arguments: str) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            arguments[0],
            "-q",
            "--no-index",
            "--no-deps",
            *arguments[1:],
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )


def python(target: Path, folder: Path, *arguments: str) -> str:
    """What Python prints in a folder, the installed packages in place of the sources."""
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    source = wheel.parent / "source"
    expected = {
        str(path.relative_to(source))
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    assert expected <= set(zipfile.ZipFile(wheel).namelist())


def test_commands_work_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    places = python(
        installed, tmp_path, "-c", "import conf, sweeps\nprint(conf.__file__, sweeps.__file__)"
    )
    assert all(place.startswith(str(installed)) for place in places.split())
    shown = python(installed, tmp_path, "-m", "yolactpp.train", "--cfg", "job", "loss=hybrid")
    assert "init: null" in shown
    assert "name: synthetic_butts" in shown
    assert "dice" in python(installed, tmp_path, "-m", "losses")
    assert "submit" in python(installed, tmp_path, "-m", "sweeps", "--help")
    # Our sweeper, a Hydra plugin, is found beside the plugins of other packages.
    multirun = python(installed, tmp_path, "-m", "yolactpp.train", "--info", "plugins")
    assert "GridSweeper" in multirun
    assert "SubmititLauncher" in multirun
    assert not list(tmp_path.iterdir())
