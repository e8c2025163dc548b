"""What is shipped: the package, its man pages and completions, and nothing else."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from command import variables
from manual.pages import pages

import kwatch

ROOT = Path(__file__).parent.parent.parent
SOURCES = (
    "kwatch", "completions", "man", "tests", "setup.cfg", "setup.py", "MANIFEST.in", "Makefile", "ruff.toml", "LICENSE",
)  # fmt: skip
TOOLS = ("build", "twine", "setuptools")
SHARED = {
    "bash-completion/completions/kwatch.bash",
    "zsh/site-functions/_kwatch",
    "fish/vendor_completions.d/kwatch.fish",
    *(f"man/man1/{name}" for name in pages()),
}
MISSING = [name for name in TOOLS if not importlib.util.find_spec(name)]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel, built of a copy: others use the tree meanwhile."""
    copy, built = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in (*SOURCES, *(path.name for path in ROOT.glob("*.rst"))):
        if (source := ROOT / name).is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
        else:
            shutil.copy(source, copy / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", built, copy]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": ""}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return built


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_has_the_package_its_man_pages_and_its_completions_alone(wheel: zipfile.ZipFile) -> None:
    names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    data = f"kwatch_cli-{kwatch.__version__}.data/data/share/"
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "kwatch").rglob("*.py")}
    scripts = {f"kwatch/cli/completion/{name}" for name in ("kwatch.bash", "_kwatch", "kwatch.fish")}
    assert set(names) == package | scripts | {"kwatch/py.typed"} | {data + name for name in SHARED}


def test_the_sdist_has_what_the_wheel_is_built_of_and_the_tests(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    texts = {f"tests/manual/text/{path.name}" for path in (ROOT / "tests" / "manual" / "text").iterdir()}
    assert {*(f"man/{name}" for name in pages()), *texts, "tests/conftest.py", "CHANGELOG.rst", "LICENSE"} <= names


def test_the_metadata_is_sound(built: Path, wheel: zipfile.ZipFile) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": ""}, check=False)
    assert done.returncode == 0, done.stdout
    metadata = wheel.read(f"kwatch_cli-{kwatch.__version__}.dist-info/METADATA").decode()
    assert f"\nVersion: {kwatch.__version__}\n" in metadata


def test_the_version_stands_in_one_place() -> None:
    files = [*ROOT.glob("*.cfg"), *ROOT.glob("*.toml"), ROOT / "setup.py", *(ROOT / "kwatch").rglob("*.py")]
    assert [path for path in files if f'"{kwatch.__version__}"' in path.read_text()] == [ROOT / "kwatch/__init__.py"]


def test_what_is_installed_of_the_wheel_runs(built: Path, tmp_path: Path) -> None:
    (path,) = built.glob("*.whl")
    apart = ["--ignore-installed", "--prefix", tmp_path]  # else pip would remove the kwatch of this environment
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", *apart, path]
    subprocess.run(pip, capture_output=True, env=os.environ | {"PYTHONWARNINGS": ""}, check=True)
    (package,) = tmp_path.glob("lib/*/site-packages/kwatch")
    environment = variables(tmp_path) | {"PYTHONPATH": str(package.parent)}

    def run(*command: str | Path) -> str:
        return subprocess.check_output(command, text=True, env=environment, cwd=tmp_path)

    for program in (
        [tmp_path / "bin" / "kwatch"],
        [tmp_path / "bin" / "kubectl-kwatch"],
        [sys.executable, "-m", "kwatch"],
    ):
        assert run(*program, "--version") == f"kwatch {kwatch.__version__}\n"
    assert run(sys.executable, "-c", "import kwatch; print(kwatch.__file__)").strip() == str(package / "__init__.py")
    assert run(tmp_path / "bin" / "kwatch", "demo", "--count", "3", "-o", "name").count("pod/") == 3
    assert run(tmp_path / "bin" / "kubectl_complete-kwatch", "deploym") == "deployments\tDeployment\n:4\n"
    shared = {path.relative_to(tmp_path / "share") for path in (tmp_path / "share").rglob("*") if path.is_file()}
    assert {str(path) for path in shared} == SHARED
