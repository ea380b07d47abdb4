"""Sessions in the database, as Django keeps them, under keys that Django can have made."""

from django.conf import settings
from django.contrib.messages.storage import cookie, fallback, session
from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key):
        # A cookie may hold anything, and PostgreSQL fails on a NUL.
        return super()._validate_session_key(key) and key.isascii() and key.isalnum()


class MessageCookie(cookie.CookieStorage):
    cookie_name = settings.MESSAGES_COOKIE_NAME


class MessageStorage(fallback.FallbackStorage):
    """Messages for the next page, as Django keeps them, in a cookie named as our others are."""

    storage_classes = (MessageCookie, session.SessionStorage)
