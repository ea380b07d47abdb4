"""The site as it is deployed, with real servers; only Vonage is played (fake_vonage.py)."""

import contextlib
import itertools
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest

from bench.provider import deployed, made, manage, served, spare_port
from pollstr.tests.production import COMPLETE
from two_factor.tests.fake_vonage import FakeVonage, write_certificate

from .servers import PostgreSQL, Redis
from .voters import Crowd

VOTERS, WITH_CODE = 250, 12
CHOICES = {1: [1, 2, 3, 4], 2: [5, 6, 7, 8], 3: [9, 10, 11, 12, 13]}  # of the demo polls
VOTER_KEY = COMPLETE["VOTER_KEY"]
names = itertools.count(1)
seen = []


class Site:
    """A copy of the site with a database, which any number of web processes can serve."""

    def __init__(self, env, cwd, people, sessions_with_code):
        self.env, self.cwd, self.people = env, cwd, people
        self.sessions_with_code = sessions_with_code
        self.port = spare_port()

    @contextlib.contextmanager
    def served(self, port=None, application="pollstr.wsgi", **changed):
        """Serve; yield the address and the process of gunicorn."""
        with served(application, self.env | changed, self.cwd, "/healthz", port) as web:
            yield web

    def manage(self, *arguments) -> str:
        return manage(self.env, self.cwd, *arguments)

    def connect(self):
        url = self.env["DATABASE_URL"]
        if url.startswith("sqlite"):
            return sqlite3.connect(url.removeprefix("sqlite:///"))
        return psycopg.connect(url.partition("?")[0], autocommit=True)

    def crowd(self, *sites, size=12, choices=CHOICES):
        return Crowd(self.people[:size], choices, *sites)

    def check(self, crowd):
        """Nothing is lost, nothing counted twice, and every count is what the ballots say."""
        with contextlib.closing(self.connect()) as connection:
            crowd.check(connection, VOTER_KEY)
        assert self.manage("recount") == "Every count is what the ballots say."


@pytest.fixture(scope="session")
def own_directory():
    """A directory that PostgreSQL's user may enter, too."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    # Many databases are tens of thousands of files, for which Python takes half a minute.
    subprocess.run(["rm", "-rf", directory], check=True)


@pytest.fixture
def empty_directory(own_directory):
    directory = own_directory / f"directory{next(names)}"
    directory.mkdir()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres(own_directory):
    directory = own_directory / "postgres"
    directory.mkdir()
    server = PostgreSQL(directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def deployment(own_directory, postgres):
    """The site deployed once; its database, with people in it, is a template for each test's."""
    url = postgres.create("template")
    env, cwd = deployed(own_directory, {"DATABASE_URL": url, "WEB_CONCURRENCY": "2"})
    people = made(env, cwd, f"[voters({VOTERS}), with_code({WITH_CODE})]")
    return env, cwd, people


@pytest.fixture(scope="session")
def certificate(own_directory):
    return write_certificate(own_directory / "localhost.pem")


@pytest.fixture
def vonage(certificate):
    server = FakeVonage(certificate)
    server.handler = answer_well
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield server
    server.stop()


def answer_well(request):
    """Accept each start, and take each code for the right one."""
    if request.path.count("/") == 2:
        return FakeVonage.accept(None, request)
    return 200, {"request_id": request.path.rpartition("/")[2], "status": "completed"}


@pytest.fixture
def env_of_vonage(vonage, certificate):
    return {"VONAGE_API_HOST": vonage.host, "REQUESTS_CA_BUNDLE": str(certificate)}


@pytest.fixture
def site(deployment, postgres, env_of_vonage):
    """The site on a PostgreSQL database of its own."""
    env, cwd, people = deployment
    url = postgres.create(f"site{next(names)}", "template")
    return Site(env | env_of_vonage | {"DATABASE_URL": url}, cwd, *people)


@pytest.fixture(scope="session")
def sqlite_template(own_directory, deployment):
    env, cwd, _ = deployment
    path = own_directory / "template.sqlite3"
    env = env | {"DATABASE_URL": f"sqlite:///{path}"}
    for command in [["migrate", "--verbosity=0"], ["loaddata", "demo"]]:
        manage(env, cwd, *command)
    return path, made(env, cwd, "voters(12)")


@pytest.fixture
def sqlite_site(deployment, sqlite_template, env_of_vonage):
    """The site on an SQLite file of its own in the directory that is given."""
    env, cwd, _ = deployment
    template, people = sqlite_template

    def make(directory):
        path = shutil.copy(template, directory / "db.sqlite3")
        return Site(env | env_of_vonage | {"DATABASE_URL": f"sqlite:///{path}"}, cwd, people, [])

    return make


@pytest.fixture
def redis():
    server = Redis()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def tell(request):
    """Note a figure for the table at the end."""
    return lambda *figures: seen.append([request.node.name, *map(str, figures)])


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("what was seen")
    for name, *figures in seen:
        terminalreporter.write_line(f"{name}: {'; '.join(figures)}")
