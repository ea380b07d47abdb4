"""Sessions in the database, as Django keeps them, under keys that Django can have made."""

from django.conf import settings
from django.contrib.messages.storage import cookie, fallback, session
from django.contrib.sessions.backends import base, db
from django.db import connection
from django.utils import timezone
from django.utils.crypto import get_random_string

# In SQL, which spares each page of the signed-in the time of putting it together.
LOAD = "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > %s"


class SessionStore(db.SessionStore):
    def load(self):
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        with connection.cursor() as cursor:
            cursor.execute(LOAD, [self.session_key, now])
            row = cursor.fetchone()
        if row is None:
            self._session_key = None
            return {}
        return self.decode(row[0])

    def _validate_session_key(self, key):
        # A cookie may hold anything, and PostgreSQL fails on a NUL.
        return super()._validate_session_key(key) and key.isascii() and key.isalnum()

    def _get_new_session_key(self):
        # Django looks whether there is one of that name. With 165 bits there is none, and if
        # there were, the database would refuse the second, and Django would make another.
        return get_random_string(32, base.VALID_KEY_CHARS)


class MessageCookie(cookie.CookieStorage):
    cookie_name = settings.MESSAGES_COOKIE_NAME


class MessageStorage(fallback.FallbackStorage):
    """Messages for the next page, as Django keeps them, in a cookie named as our others are."""

    storage_classes = (MessageCookie, session.SessionStorage)
