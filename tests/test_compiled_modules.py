"""What mypyc compiles differently from what Python runs must not be in the modules that the compiled wheel compiles."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
PATTERNS: list[str] = BUILD["targets"]["wheel"]["hooks"]["mypyc"]["include"]
COMPILED = sorted(str(path.relative_to(ROOT)) for pattern in PATTERNS for path in ROOT.glob(pattern))


def bounds_that_call(source: str) -> list[str]:
    return [
        ast.unparse(each)
        for each in ast.walk(ast.parse(source))
        if isinstance(each, ast.Slice) and any(isinstance(part, ast.Call) for part in ast.walk(each))
    ]


@pytest.mark.parametrize("module", COMPILED)
def test_no_bound_of_a_slice_calls_anything(module: str) -> None:
    """mypyc 2.4 evaluates the bounds of a memoryview's slice twice: a `receive` there loses what the first one took."""
    assert bounds_that_call((ROOT / module).read_text()) == []


def test_a_call_in_a_bound_is_found() -> None:
    assert bounds_that_call("sizes[first : first + receive()]") == ["first:first + receive()"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_shall_be_compiled_is_there(pattern: str) -> None:
    assert list(ROOT.glob(pattern))


@pytest.mark.parametrize("module", COMPILED)
def test_no_compiled_module_defines_a_struct(module: str) -> None:
    """mypyc makes of a msgspec.Struct a class that lost what its keywords (`frozen=True`) asked for."""
    classes = [each for each in ast.walk(ast.parse((ROOT / module).read_text())) if isinstance(each, ast.ClassDef)]
    assert not [each.name for each in classes if any(ast.unparse(base).endswith("Struct") for base in each.bases)]
