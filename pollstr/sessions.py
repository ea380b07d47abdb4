"""Sessions in the database, as Django keeps them, under keys that Django can have made."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key):
        # A cookie may hold anything, and PostgreSQL fails on a NUL.
        return super()._validate_session_key(key) and key.isascii() and key.isalnum()
