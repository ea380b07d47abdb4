"""docs/security.md names the test that proves each rule."""

import ast
import re

import pytest
from django.conf import settings

TEXT = (settings.BASE_DIR / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`([a-z_/]+\.py)::(\w+)`", TEXT)))


def test_it_names_tests():
    assert len(NAMED) > 80
    # Nothing that looks like one is overlooked.
    assert TEXT.count("::") == len(re.findall(r"`[a-z_/]+\.py::test_\w+`", TEXT))


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_each_test_that_it_names_is_there(file, test):
    tree = ast.parse((settings.BASE_DIR / file).read_text())
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_variable_that_it_names_is_one():
    example = (settings.BASE_DIR / ".env.example").read_text()
    known = set(re.findall(r"^(?:# ?)?([A-Z_]+)=", example, re.MULTILINE))
    named = set(re.findall(r"`([A-Z][A-Z_]{5,})`", TEXT))
    assert named
    assert named <= known
