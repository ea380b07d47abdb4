"""Both lines of the Procfile, run as a host runs them."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest
import requests
from django.conf import settings
from django.db import connection

from pollstr.tests.production import COMPLETE, manage, run

NOT_DEPLOYED = shutil.ignore_patterns(".*", "__pycache__", "db.sqlite3*", "staticfiles")
TEN_YEARS = "max-age=315360000, public, immutable"
WAIT = 20  # seconds


@pytest.fixture(scope="module")
def database_url(django_db_blocker, tmp_path_factory):
    """An empty database, of the kind that the other tests run on."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('database') / 'db.sqlite3'}"
        return
    database = connection.settings_dict
    name = f"procfile_{os.getpid()}"
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/".format_map(database) + name
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def site(database_url, tmp_path_factory):
    """Where the site is deployed, as a copy with its static files collected, and how."""
    cwd = tmp_path_factory.mktemp("host") / "site"
    shutil.copytree(settings.BASE_DIR, cwd, ignore=NOT_DEPLOYED)
    env = COMPLETE | {"DATABASE_URL": database_url, "SECURE_SSL_REDIRECT": "False"}
    collected = manage("collectstatic", "--noinput", env=env, cwd=cwd)
    assert collected.returncode == 0, collected.stderr
    return {"env": env, "cwd": cwd}


@pytest.fixture(scope="module")
def release(site):
    return run("honcho", "start", "release", **site)


@pytest.fixture(scope="module")
def web(site, release):
    """The address at which the line ``web`` serves."""
    with serving(**site) as (_, url, _):
        yield url


@contextmanager
def serving(env, cwd):
    """Run the line ``web``; give its process, its address and what it prints into."""
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = str(spare.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    env = env | {"PORT": port, "WEB_CONCURRENCY": "2"}
    log = cwd / "web.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["honcho", "start", "web"], env=env, cwd=cwd, stdout=output, stderr=output
        )
    try:
        wait_for(f"{url}/healthz", process, log)
        yield process, url, log
    finally:
        process.terminate()
        process.wait(WAIT)


def wait_for(url, process, log):
    deadline = time.monotonic() + WAIT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return requests.get(url, timeout=WAIT)
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail(log.read_text())


def test_release_migrates(release, site):
    assert release.returncode == 0, release.stdout
    assert manage("migrate", "--check", **site).returncode == 0


def test_release_loads_no_demo(web):
    polls = requests.get(f"{web}/polls/", timeout=WAIT)
    assert polls.status_code == 200
    assert "No poll is open just now." in polls.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("host", [{}, {"Host": "10.0.0.5:8000"}])
def test_web_is_well(web, path, host):
    answer = requests.get(web + path, headers=host, timeout=WAIT)
    assert (answer.status_code, answer.text) == (200, "ok")


@pytest.mark.parametrize("body", [b"x" * 300_000, (b"x" * 1000 for _ in range(1000))])
def test_web_answers_what_is_too_large_with_a_page(web, body):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(f"{web}/login/", body, headers=kind, timeout=WAIT)
    assert answer.status_code == 413
    assert "That was too much at once" in answer.text


def test_web_serves_static_files_for_good(web):
    polls = requests.get(f"{web}/polls/", timeout=WAIT).text
    sheets = re.findall(r'href="(/static/[^"]+\.[0-9a-f]{12}\.css)"', polls)
    assert len(sheets) == polls.count('rel="stylesheet"') > 0
    for sheet in sheets:
        answer = requests.get(web + sheet, timeout=WAIT)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == TEN_YEARS
        assert answer.headers["Content-Encoding"] in {"br", "gzip"}


@pytest.fixture(scope="module")
def nightly():
    """The line that docs/deploy.md gives to the host's scheduler."""
    text = (settings.BASE_DIR / "docs/deploy.md").read_text()
    [line] = re.findall(r"^    (python manage.py purge .*)$", text, re.MULTILINE)
    assert f"ExecStart=/bin/sh -c '{line}'" in text
    return line


def run_in_shell(line, site):
    return run("sh", "-c", line, **site)


def sessions_left(site) -> str:
    count = "from django.contrib.sessions.models import Session as S; print(S.objects.count())"
    return manage("shell", "--no-imports", "-c", count, **site).stdout


def test_the_nightly_line_deletes_what_has_had_its_day_and_proves_the_counts(
    nightly, release, site
):
    ended = (
        "from pollstr.sessions import SessionStore; store = SessionStore();"
        " store.set_expiry(-60); store.create()"
    )
    assert manage("shell", "--no-imports", "-c", ended, **site).returncode == 0
    assert sessions_left(site) == "1\n"
    night = run_in_shell(nightly, site)
    assert night.returncode == 0, night.stderr
    assert "pending numbers deleted" in night.stdout
    assert "Every count is what the ballots say." in night.stdout
    assert sessions_left(site) == "0\n"


def test_the_nightly_line_fails_where_one_of_its_commands_does(nightly, site):
    empty = site | {"env": site["env"] | {"DATABASE_URL": "sqlite://:memory:"}}
    assert run_in_shell(nightly, empty).returncode != 0


def test_web_ends_when_told_to(site, release):
    with serving(**site) as (process, url, log):
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT)
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=1)
    assert "Shutting down: Master" in log.read_text()
    assert "Traceback" not in log.read_text()
