"""What stands in a variable, and what is no value for it."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from pollstr.environment import Env
from pollstr.tests.production import COMPLETE, PRODUCTION, UNSET, manage, run

A_DATABASE = "like postgres://user:password@host:5432/name"
KINDS = {
    "bool": ("True or False", ["maybe", "Tru", "2"]),
    "int": ("a whole number", ["soon", "5.5", "5s"]),
    "ints": ("whole numbers, separated by commas", ["30,soon", "30;60"]),
    "db_url": (
        A_DATABASE,
        [
            "nonsense",
            "//me:secret@host/name",
            "mysql://me:secret@host/name",
            "postgres://me:secret@host:54x2/name",
            "postgres://me:se/cret@host/name",
            "postgres://me:secret@host",
            "postgres://me:secret@host/name?sslmode=perhaps",
            "postgres://me:secret@host/name?connect_timeout=soon",
            "postgres://me:secret@host/name?no_such_option=1",
        ],
    ),
    "redis_url": (
        "like redis://host:6379/0",
        [
            "nonsense",
            "http://:secret@host",
            "redis://",
            "redis://:secret@host:63x9",
            "redis://:secret@host?no_such_option=1",
            "redis://:secret@host?socket_timeout=soon",
            "rediss://:secret@host?ssl_cert_reqs=perhaps",
            "redis://:secret@host/first",
        ],
    ),
    "hosts": (
        "host names, without scheme, port or slash, separated by commas",
        [
            "https://polls.example.com",
            "polls.example.com:443",
            "polls.example.com/",
            "polls.example.com other.example.com",
            "*.example.com",
            "polls..example.com",
            "polls_1.example.com",
            "pölls.example.com",
            ",",
        ],
    ),
    "origins": (
        "like https://other.example.com, separated by commas, without a path",
        [
            "other.example.com",
            "https://other.example.com/",
            "ftp://other.example.com",
            "https://a.example https://b.example",
            "https://other.example.com:99999",
            "https://other.example.com:0",
        ],
    ),
    "site_url": (
        "like https://polls.example.com, without a path",
        [
            "polls.example.com",
            "https://polls.example.com/polls",
            "https://me@polls.example.com",
            "https://*.example.com",
            "ftp://polls.example.com",
            "https://polls.example.com:65536",
            "https://polls.example.com:0",
        ],
    ),
    "smtp_url": (
        "like smtp+tls://user:password@host:587",
        ["nonsense", "http://me:secret@host", "smtp://me:secret@", "smtp://me:secret@host:58x7"],
    ),
}


def read(kind, value):
    env = Env()
    env.ENVIRON = {"NAME": value}
    default = [] if kind in {"smtp_url", "origins", "site_url"} else [None]
    return getattr(env, kind)("NAME", *default)


@pytest.mark.parametrize(
    ("kind", "wanted", "value"),
    [(kind, wanted, value) for kind, (wanted, values) in KINDS.items() for value in values],
)
def test_what_cannot_be_read_is_named_and_not_told(kind, wanted, value, recwarn):
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(kind, value)
    assert str(refusal.value) == f"NAME cannot be read: it must be {wanted}."
    assert not recwarn.list


@pytest.mark.parametrize(
    ("kind", "value", "meant"),
    [
        ("bool", "Yes ", True),
        ("bool", "off", False),
        ("int", " 5", 5),
        ("ints", "30,60", [30, 60]),
        ("redis_url", "rediss://:secret@host:6380/1", "rediss://:secret@host:6380/1"),
        ("hosts", "a.example , B.example,", ["a.example", "b.example"]),
        ("hosts", " .example.com,127.0.0.1,[::1]", [".example.com", "127.0.0.1", "[::1]"]),
        (
            "origins",
            "https://a.example, https://*.b.example:8443",
            ["https://a.example", "https://*.b.example:8443"],
        ),
        ("redis_url", "unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis_url", "rediss://h:1?ssl_cert_reqs=none", "rediss://h:1?ssl_cert_reqs=none"),
        ("site_url", "https://polls.example.com:8443/", "https://polls.example.com:8443"),
    ],
)
def test_what_can_be_read_is_what_was_meant(kind, value, meant):
    assert read(kind, value) == meant


@pytest.mark.parametrize(
    ("url", "host", "name"),
    [
        ("postgresql://me:secret@host:5432/name", "host", "name"),
        ("postgres://me:secret@one:5432,two:5432/name?sslmode=require", "one,two", "name"),
        (
            "postgres://me@host/name?sslmode=verify-full&sslrootcert=/a&CONN_MAX_AGE=0",
            "host",
            "name",
        ),
        ("postgres://me@host/name?DISABLE_SERVER_SIDE_CURSORS=True", "host", "name"),
        ("postgres://me@host/name?target_session_attrs=read-write&assume_role=x", "host", "name"),
        ("postgres:////run/postgresql/name", "/run/postgresql", "name"),
        ("sqlite:////srv/db.sqlite3", "", "/srv/db.sqlite3"),
        ("sqlite://:memory:", None, ":memory:"),
    ],
)
def test_a_database_may_be_told_in_each_common_way(url, host, name):
    database = read("db_url", url)
    assert (database.get("HOST"), database["NAME"]) == (host, name)


def test_gunicorn_does_not_start_with_an_address_that_cannot_be_read():
    env = COMPLETE | {"DATABASE_URL": "postgres://me:Pa-ss@host:54x2/name"}
    start = run("gunicorn", "--check-config", "pollstr.wsgi", env=env)
    assert start.returncode != 0
    assert start.stderr.splitlines()[-1].endswith(
        f"DATABASE_URL cannot be read: it must be {A_DATABASE}."
    )
    assert "Pa-ss" not in start.stderr


def test_gunicorn_does_not_start_with_half_a_credential():
    env = COMPLETE | {"VONAGE_API_SECRET": ""}
    start = run("gunicorn", "--check-config", "pollstr.wsgi", env=env)
    assert start.returncode != 0
    assert "ImproperlyConfigured: VONAGE_API_SECRET is missing" in start.stderr


def test_a_server_is_told_all_that_cannot_work_at_once():
    wrong = {"VERIFY_BRAND": "A brand: too long", "VERIFY_REGIONS": "US,XX"}
    start = run("python", "-c", "import pollstr.wsgi", env=PRODUCTION | wrong)
    assert start.returncode == 1
    assert [name for name in wrong if name not in start.stderr.splitlines()[-1]] == []


def test_commands_say_what_cannot_be_read_without_a_traceback():
    check = manage("check", env=PRODUCTION | {"VERIFY_SENDS_PER_DAY": "many"})
    assert check.returncode == 1
    sentence = "VERIFY_SENDS_PER_DAY cannot be read: it must be a whole number."
    assert check.stderr == f"Pollstr cannot start: {sentence}\n"


def test_a_sandbox_cannot_be_had_without_debug():
    sandbox = "import pollstr.wsgi; from two_factor import client; print(client.is_sandbox())"
    assert run("python", "-c", sandbox, env=PRODUCTION).stdout == "False\n"
    assert run("python", "-c", sandbox, env=UNSET | {"DEBUG": "True"}).stdout == "True\n"
