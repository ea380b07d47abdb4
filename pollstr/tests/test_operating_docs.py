"""What docs/operate.md and docs/deploy.md say is what the site does."""

import ast

import pytest
from django.conf import settings

from pollstr.tests.production import VARIABLE

DOCS = settings.BASE_DIR / "docs"
# The sandbox is for development alone.
IN_PRODUCTION = [
    path
    for app in ["pollstr", "polls", "two_factor"]
    for path in sorted((settings.BASE_DIR / app).rglob("*.py"))
    if "tests" not in path.parts and path.name != "sandbox.py"
]


def words_logged(path) -> list[str]:
    """Return how each line begins that a module writes into the log."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if is_logging(node)]
    words = [arg.value for call in calls for arg in call.args if isinstance(arg, ast.Constant)]
    return [text.partition("%s")[0].strip() for text in words]


def is_logging(node) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger.")


LINES = [words for path in IN_PRODUCTION for words in words_logged(path)]


def test_lines_of_the_log_are_found():
    assert "Vonage Verify answered" in LINES
    assert len(LINES) >= 9


@pytest.mark.parametrize("words", LINES)
def test_each_line_of_the_log_is_explained(words):
    assert words in (DOCS / "operate.md").read_text()


def test_deploying_names_no_variable_that_settings_do_not_know():
    known = {name for name, _ in VARIABLE.findall((settings.BASE_DIR / ".env.example").read_text())}
    named = VARIABLE.findall((DOCS / "deploy.md").read_text().replace("    ", ""))
    assert {"SECRET_KEY", "DATABASE_URL"} <= {name for name, _ in named} <= known
