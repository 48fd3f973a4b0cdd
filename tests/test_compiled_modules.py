"""What mypyc compiles differently from what Python runs must not be in the modules that the compiled wheel compiles."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
COMPILED: list[str] = BUILD["targets"]["wheel"]["hooks"]["mypyc"]["include"]


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
