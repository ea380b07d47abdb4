"""Sessions in the database, as Django keeps them, under hashes of keys that Django can have made.

Whoever reads the table or a backup of it cannot be signed in with what stands there.
"""

import hashlib

from django.conf import settings
from django.contrib.messages.storage import cookie, fallback, session
from django.contrib.sessions.backends import base, db
from django.db import connection
from django.utils import timezone
from django.utils.crypto import get_random_string

# Raw SQL: building this query through the ORM takes longer than the database takes to answer it.
LOAD_SQL = """
    SELECT session_key, session_data FROM django_session
    WHERE session_key IN (%s, %s) AND expire_date > %s
"""
# Characters of a key in the cookie, and of its hash in the table. They must differ, or a hash read
# from the table would open the session as a key of before.
KEY_LENGTH, HASH_LENGTH = 32, 40


def hashed(key: str) -> str:
    """Return what a session is stored under. A key has 165 bits, so a fast hash is enough."""
    return hashlib.sha256(key.encode()).hexdigest()[:HASH_LENGTH]


class SessionStore(db.SessionStore):
    def load(self):
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        stored_under = hashed(self.session_key)
        with connection.cursor() as cursor:
            cursor.execute(LOAD_SQL, [stored_under, self.session_key, now])
            rows = dict(cursor.fetchall())
        if not rows:
            self._session_key = None
            return {}
        if stored_under not in rows:
            self.move(stored_under)
        return self.decode(rows.get(stored_under) or rows[self.session_key])

    def move(self, stored_under):
        """Hash the key of a session that was begun before keys were hashed."""
        self.model.objects.filter(session_key=self.session_key).update(session_key=stored_under)

    def exists(self, session_key):
        return self.model.objects.filter(session_key=hashed(session_key)).exists()

    def create_model_instance(self, data):
        instance = super().create_model_instance(data)
        instance.session_key = hashed(instance.session_key)
        return instance

    def delete(self, session_key=None):
        key = session_key or self.session_key
        if key is not None:
            self.model.objects.filter(session_key__in=[hashed(key), key]).delete()

    def _validate_session_key(self, key):
        # A cookie may hold anything, and PostgreSQL fails on a NUL.
        return key and len(key) == KEY_LENGTH and key.isascii() and key.isalnum()

    def _get_new_session_key(self):
        # Django looks whether there is one of that name. With 165 bits there is none, and if
        # there were, the database would refuse the second, and Django would make another.
        return get_random_string(KEY_LENGTH, base.VALID_KEY_CHARS)


class MessageCookie(cookie.CookieStorage):
    cookie_name = settings.MESSAGES_COOKIE_NAME


class MessageStorage(fallback.FallbackStorage):
    """Messages for the next page, as Django keeps them, in a cookie named as our others are."""

    storage_classes = (MessageCookie, session.SessionStorage)
