"""docs/tutorial.md builds a site that works after each step, and names what Pollstr has."""

import ast
import re
import subprocess
import sys

import pytest
from django.conf import settings
from django.db import connection

DOCS = settings.BASE_DIR / "docs"
TEXT = (DOCS / "tutorial.md").read_text()
START, *STEPS = re.split(r"^## (?=Before|\d)", TEXT, flags=re.MULTILINE)[1:]

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# A line above a block of code says whose it is, and how it gets there.
FILE = re.compile(r"^`([\w./]+)`, (new|changed|at the end)[.:]", re.MULTILINE)
# What the tests do without, and what only a person can look at.
OF_THE_SHELL = (
    "mkdir ",
    "cd ",
    "python3 -m venv ",
    ". ",
    "python -m pip ",
    "git ",
    "VONAGE_API_KEY=",
)
BY_HAND = {"runserver", "createsuperuser"}
CHECKS = ["manage.py check --fail-level WARNING", "manage.py makemigrations --check --dry-run"]
# In one process, since most of the time is Django's start.
RUN = """
import sys
from django.core.management import execute_from_command_line
for line in sys.argv[1:]:
    sys.argv = line.split()
    execute_from_command_line(sys.argv)
"""
# `name` and `Class.method` in [a/file.py](../a/file.py)
PLACES = re.compile(r"((?:`[\w.]+`(?:,| and)?\s+)+)in\s+\[([\w/.]+)\]\(\.\./([\w/.]+)\)")


def blocks(step):
    """Yield each block of a step: its language, its text, its file, and how it gets there."""
    position = 0
    for block in BLOCK.finditer(step):
        language, text = block.groups()
        named = [found.groups() for found in FILE.finditer(step, position, block.start())]
        position = block.end()
        is_code = language not in {"sh", "text"} or named
        assert len(named) == bool(is_code), f"Of one file must be\n{text}"
        yield language, text, *(named[0] if is_code else (None, None))


def write(site, language, text, name, how):
    path = site / name
    path.parent.mkdir(parents=True, exist_ok=True)
    assert (language == "diff") == (how == "changed"), name
    if how == "new":
        path.write_text(text)
    elif how == "at the end":
        path.write_text(f"{path.read_text()}\n\n{text}")
    else:
        path.write_text(changed(path.read_text(), text, name))


def changed(text, diff, name):
    """Return ``text`` after a change, each part of which must fit in exactly one place."""
    for part in diff.split("@@\n"):
        lines = [line if line.strip() else " \n" for line in part.splitlines(keepends=True)]
        assert {line[0] for line in lines} <= set(" +-"), f"{name}:\n{part}"
        before = "".join(line[1:] for line in lines if line[0] != "+")
        after = "".join(line[1:] for line in lines if line[0] != "-")
        # Whole lines: one that only ends like this is another.
        places = f"\n{text}".count(f"\n{before}")
        assert places == 1, f"{name} has {places} places for\n{part}"
        text = f"\n{text}".replace(f"\n{before}", f"\n{after}")[1:]
    return text


def run(site, *lines):
    # No formatter or setting of this machine, and no way out: nobody listens at this proxy.
    environment = {
        "PATH": "",
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-W", "error", "-c", RUN, *lines]
    done = subprocess.run(
        command, cwd=site, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
    return done.stderr


def commands(text):
    """Return what a block of shell commands has Django do."""
    lines = text.splitlines()
    django = [line for line in lines if line.startswith(("python manage.py ", "django-admin "))]
    rest = [line for line in lines if line not in django]
    assert all(line.startswith(OF_THE_SHELL) for line in rest), rest
    lines = [line.removeprefix("python ") for line in django]
    return [line for line in lines if line.split()[1] not in BY_HAND]


def take(site, step):
    """Do all that a step says, and return what its tests print and what it says they do."""
    lines, told = [], None
    for language, text, name, how in blocks(step):
        if name:
            write(site, language, text, name, how)
        elif language == "text":
            told = text
        else:
            lines += commands(text)
        if lines and "startapp" in lines[-1]:
            run(site, lines.pop())
    *lines, last = lines
    assert last == "manage.py test"
    return run(site, *lines, *CHECKS, last), told


@pytest.fixture
def site(tmp_path):
    """The site as it is before the first step."""
    for language, text, name, how in blocks(START):
        if name:
            write(tmp_path, language, text, name, how)
        else:
            run(tmp_path, *commands(text))
    return tmp_path


@pytest.mark.skipif(connection.vendor != "sqlite", reason="its site has a database of its own")
def test_every_step_works_and_prints_what_it_says(site):
    assert len(STEPS) == 9
    # One test, since each step builds on those before and their order must hold.
    for step in STEPS[:-1]:
        title = step.partition("\n")[0]
        try:
            printed, told = take(site, step)
            [ran] = re.findall(r"^Ran \d+ tests", printed, re.MULTILINE)
            assert told == f"{ran}\nOK\n"
        except AssertionError as error:
            error.add_note(f"in step {title}")
            raise


def test_the_last_part_has_nothing_to_type():
    assert list(blocks(STEPS[-1])) == []


def test_it_installs_what_pollstr_has():
    [line] = re.findall(r"^python -m pip install (.*)$", START, re.MULTILINE)
    wanted = (settings.BASE_DIR / "requirements.in").read_text().splitlines()
    wanted += (settings.BASE_DIR / "requirements-dev.in").read_text().splitlines()
    assert set(line.replace('"', "").split()) <= set(wanted)


def definitions(tree, prefix=""):
    """Yield the names that a module or class defines, those in classes with the class's name."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from definitions(node, f"{node.name}.")
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield prefix + node.name


NAMED = [
    (name, path)
    for names, _, path in PLACES.findall(TEXT)
    for name in re.findall(r"`([\w.]+)`", names)
]


def test_places_are_found():
    assert len(NAMED) >= 30
    assert len(PLACES.findall(TEXT)) == TEXT.count("](../")
    assert all(shown == path for _, shown, path in PLACES.findall(TEXT))


@pytest.mark.parametrize(("name", "path"), NAMED)
def test_each_place_it_names_is_there(name, path):
    tree = ast.parse((settings.BASE_DIR / path).read_text())
    assert name in set(definitions(tree))


def test_each_page_it_links_is_there():
    pages = re.findall(r"\]\((?!https?:|\.\./)([^)]+)\)", TEXT)
    assert {"two-factor.md", "voting.md"} <= set(pages)
    assert [page for page in pages if not (DOCS / page).exists()] == []
