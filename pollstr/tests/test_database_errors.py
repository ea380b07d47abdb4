"""Why a database does not serve, as the log tells it."""

import json
import logging
import socket
import sys

import pytest
from django.db import DatabaseError, OperationalError, connection

from pollstr.database_errors import reason_of
from pollstr.log_format import JsonFormatter

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="is PostgreSQL's")
WORDS = {
    'connection failed: FATAL:  password authentication failed for user "zoe"': "SQLSTATE 28P01",
    'FATAL:  database "secret" does not exist': "there is no database of that name",
    'FATAL:  role "zoe" does not exist': "SQLSTATE 28000",
    'FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "zoe", no encryption': "SQLSTATE 28000",
    "connection failed: Connection refused\n\tIs the server running?": "nothing listens",
    "[Errno -2] Name or service not known": "the host name is not known",
    "failed to resolve host 'db.secret'": "the host name is not known",
    "connection timeout expired": "did not answer in time",
    "server does not support SSL, but SSL was required": "could not be encrypted (TLS)",
    "SSL error: certificate verify failed": "certificate was not accepted",
    "FATAL:  sorry, too many clients already": "SQLSTATE 53300",
    "FATAL:  remaining connection slots are reserved for roles": "SQLSTATE 53300",
    "FATAL:  the database system is starting up": "SQLSTATE 57P03",
    "the connection is lost": "the connection was lost",
    'connection to server on socket "/run/x" failed: No such file or directory': "no socket",
    "database is locked": "another process holds the file",
    "something new": "unknown",
}


@pytest.mark.parametrize("words", WORDS)
def test_a_reason_is_told_in_words_of_our_own(words):
    reason = reason_of(OperationalError(words))
    assert WORDS[words] in reason
    for secret in ["zoe", "secret", "10.0.0.7", "/run/x"]:
        assert secret not in reason


def test_a_code_of_the_server_says_more_than_its_words():
    cause = Exception("words of the server")
    cause.sqlstate = "57014"
    error = OperationalError("password authentication failed")
    error.__cause__ = cause
    assert reason_of(error).endswith("cancelled the query (SQLSTATE 57014)")


@pytest.mark.parametrize("error", [None, ValueError("database is locked"), OSError("timeout")])
def test_other_errors_have_no_such_reason(error):
    assert reason_of(error) == ""


def test_the_reason_is_in_each_line_with_a_database_error():
    try:
        raise OperationalError('FATAL:  password authentication failed for user "zoe"')
    except DatabaseError:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "Broken", (), sys.exc_info())
    line = json.loads(JsonFormatter().format(record))
    assert "the password is wrong" in line["exception"]["reason"]
    assert "zoe" not in json.dumps(line)


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"NAME": "no_such_database"}, "there is no database of that name"),
        ({"HOST": "no-such-host.invalid"}, "the host name is not known"),
        ({"PORT": "closed"}, "nothing listens at that host and port"),
        ({"USER": "nobody_here", "PASSWORD": "x"}, "the user name or the password is wrong"),
    ],
)
def test_what_is_wrong_with_the_address_is_told(changed, reason, monkeypatch):
    if "PORT" in changed:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            changed = {"PORT": str(closed.getsockname()[1])}
    connection.close()
    for name, value in changed.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
    with pytest.raises(DatabaseError) as caught:
        connection.ensure_connection()
    monkeypatch.undo()
    connection.close()
    assert reason_of(caught.value).startswith(reason)


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_the_web_server_limits_queries_and_commands_do_not(monkeypatch):
    from pollstr import wsgi

    def shown() -> str:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            return cursor.fetchone()[0]

    assert shown() == "10s"
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    assert shown() == "0"
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", False)
    wsgi.connection_created.disconnect(wsgi.limit_queries)
    assert shown() == "0"
