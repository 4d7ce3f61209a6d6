"""What comes from others is never unpickled, evaluated or run: the sources have nothing that could (test process)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = sorted((ROOT / "forge_rtc_nb").rglob("*.py"))
JAVASCRIPT = sorted(path for path in (ROOT / "js" / "src").rglob("*") if path.suffix in {".ts", ".js", ".mjs", ".tsx"})

MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "pickletools",
    "cloudpickle",
    "dill",
    "joblib",
    "jsonpickle",
    "marshal",
    "shelve",
    "copyreg",
}
"""Reading what they wrote runs what it says; so does a ``Connection`` of multiprocessing."""
NAMES = MODULES | {"allow_pickle", "read_pickle", "to_pickle", "PickleBuffer", "fromfile", "unsafe_load", "full_load"}
CALLS = {"eval", "exec", "compile", "__import__"}
LOADS = {("np", "load"), ("numpy", "load"), ("yaml", "load"), ("np", "memmap"), ("pa", "deserialize"), ("format", "read_array")}
RUNS_CELLS = ROOT / "forge_rtc_nb" / "magics.py"
"""`%%rtc frames` runs the cell of the person who typed it."""


def findings(source: str) -> Iterator[str]:
    """What of a Python source could run what it reads."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                yield from (f"import {alias.name}" for alias in names if forbidden_module(alias.name))
            case ast.ImportFrom(module, names):
                if forbidden_module(module or ""):
                    yield f"from {module} import"
                yield from (f"import {alias.name}" for alias in names if alias.name in NAMES)
            case ast.Name(name) | ast.keyword(arg=name) | ast.arg(name) if name in NAMES:
                yield str(name)
            case ast.Attribute(owner, attribute):
                if attribute in NAMES or (last_name(owner), attribute) in LOADS:
                    yield ast.unparse(node)
            case ast.Constant(str(text)) if text in NAMES:  # importlib.import_module("..."), {"allow_pickle": ...}
                yield repr(text)
            case ast.Call(ast.Name(name) | ast.Attribute(ast.Name("builtins"), name)) if name in CALLS:
                yield f"{name}()"


def forbidden_module(name: str) -> bool:
    return name.split(".")[0] in MODULES or name == "multiprocessing.connection"


def last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


SCRIPT = re.compile(
    r"pickle|marshal|\beval\b|\bFunction\s*\(|\bimport\s*\(|\bset(?:Timeout|Interval)\s*\(\s*[\"'`]", re.IGNORECASE
)
STRING = r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"""
COMMENT = re.compile(rf"({STRING})|/\*.*?\*/|//[^\n]*", re.DOTALL)
"""Or a string, which is kept: there may be an address in it, and code behind that."""


def script_findings(source: str) -> list[str]:
    """The same of TypeScript; a comment may speak of it."""
    return SCRIPT.findall(COMMENT.sub(lambda found: found[1] or "", source))


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_python_module_can_run_what_it_reads(path: Path) -> None:
    found = set(findings(path.read_text(encoding="utf-8")))
    if path == RUNS_CELLS:
        assert found == {"exec()", "compile()"}
    else:
        assert not found


@pytest.mark.parametrize("path", JAVASCRIPT, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_script_can_run_what_it_reads(path: Path) -> None:
    assert not script_findings(path.read_text(encoding="utf-8"))


def test_the_sources_are_where_these_tests_look() -> None:
    here = {str(path.relative_to(ROOT)) for path in (*PYTHON, *JAVASCRIPT)}
    assert {
        "forge_rtc_nb/arrays.py",
        "forge_rtc_nb/engine/peer.py",
        "forge_rtc_nb/kernel/room.py",
        "js/src/data/values.ts",
    } <= here
    assert len(PYTHON) > 40
    assert len(JAVASCRIPT) > 30


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "import os, marshal",
        "from pickle import loads",
        "from pickle import *",
        "import multiprocessing.connection",
        "from multiprocessing.connection import Client",
        "import importlib; importlib.import_module('pickle')",
        "__import__('os')",
        "import numpy as np; np.load(path)",
        "import numpy as np; read = np.load",
        "import numpy; numpy.load(path)",
        "np.lib.format.read_array(file)",
        "load(path, allow_pickle=True)",
        "load(path, **{'allow_pickle': True})",
        "def load(path, allow_pickle): ...",
        "numpy_load = functools.partial(load, allow_pickle=True)",
        "pandas.read_pickle(path)",
        "from pandas import read_pickle",
        "frame.to_pickle(path)",
        "yaml.load(text)",
        "eval(text)",
        "def f():\n  if x:\n    return [exec(a) for a in b]",
        "builtins.eval(text)",
        "compile(text, '', 'exec')",
    ],
)
def test_the_search_finds_what_runs_what_it_reads(source: str) -> None:
    assert list(findings(source))


@pytest.mark.parametrize(
    "source",
    [
        '"""Nothing is ever unpickled; no pickle here."""',
        "# import pickle",
        "import json; json.loads(text)",
        "re.compile('a')",
        "yaml.safe_load(text)",
        "self.load(path)",
        "np.frombuffer(data)",
    ],
)
def test_the_search_finds_nothing_else(source: str) -> None:
    assert not list(findings(source))


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "globalThis.eval(text)",
        "new Function(text)",
        "await import(url)",
        'setTimeout("f()", 1)',
        "unpickle(data)",
        'f("http://x"); eval(y)',
        "f('it\\'s //'); eval(y)",
    ],
)
def test_the_search_finds_scripts_that_run_what_they_read(source: str) -> None:
    assert script_findings(source)


def test_the_search_finds_nothing_else_in_scripts() -> None:
    source = (
        "/** No eval( here, \n no pickle. */ import x from 'y'; // eval(z)\nsetTimeout(() => f(), 1); evaluate(); aFunction();"
    )
    assert not script_findings(source)
