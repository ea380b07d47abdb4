"""Why a database refused or did not answer, in words that hold no secret.

PostgreSQL's own message may quote a user, a host or a value. It has a code (SQLSTATE) only where
the server answered, and none at all for a connection that was refused by the server, so the text is
searched for what is known.
"""

# https://www.postgresql.org/docs/current/errcodes-appendix.html
REASONS = {
    "08": "the connection was lost",
    "28": "the user name or the password is wrong, or the server does not accept this user",
    "3D": "there is no database of that name",
    "42": "a table, a column or a permission is missing",
    "53": "the server has no connection, memory or disk space left",
    "57": "the server is starting or stopping, or it cancelled the query",
}
# Parts of libpq's and PostgreSQL's messages, with the codes that the server has for them.
TEXTS = [
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ('role "', "28000"),
    ('database "', "3D000"),
    ("too many connections", "53300"),
    ("too many clients", "53300"),
    ("remaining connection slots", "53300"),
    ("starting up", "57P03"),
    ("shutting down", "57P03"),
    ("not accepting connections", "57P03"),
]
# And of those that come before a server has answered.
CONNECTION_TEXTS = [
    ("connection refused", "nothing listens at that host and port"),
    ("could not translate host name", "the host name is not known"),
    ("name or service not known", "the host name is not known"),
    ("failed to resolve host", "the host name is not known"),
    ("name resolution", "the host name is not known"),
    ("timeout", "the server did not answer in time"),
    ("timed out", "the server did not answer in time"),
    ("certificate", "the TLS certificate was not accepted"),
    ("ssl", "the connection could not be encrypted (TLS)"),
    ("no route to host", "the network does not reach the host"),
    ("network is unreachable", "the network does not reach the host"),
    ("closed the connection", "the connection was lost"),
    ("connection is lost", "the connection was lost"),
    ("connection is closed", "the connection was lost"),
    ("no such file or directory", "there is no socket at that path"),
    ("unable to open database file", "the file of the database cannot be opened"),
    ("database is locked", "another process holds the file of the database"),
    ("disk is full", "the disk is full"),
]


def reason_of(error: BaseException | None) -> str:
    """Return why a database did not serve; "" where the error is not a database's."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if not kinds & {"DatabaseError", "InterfaceError"}:
        return ""
    text = str(error).lower()
    if code := getattr(error.__cause__ or error, "sqlstate", None):
        return told(code)
    for part, reason in CONNECTION_TEXTS:
        if part in text:
            return reason
    for part, code in TEXTS:
        if part in text:
            return told(code)
    return "unknown"


def told(code: str) -> str:
    reason = REASONS.get(code[:2], "the database refused the query")
    return f"{reason} (SQLSTATE {code})"
