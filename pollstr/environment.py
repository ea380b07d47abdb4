"""Reads the environment strictly: what cannot be read stops the start.

The sentence names the variable and never tells its value, which may hold a password.
"""

from contextlib import contextmanager
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

# Anything else django-environ takes for False, so that a slip of the pen would turn https off.
TRUTHS = {"true", "on", "yes", "y", "1", "false", "off", "no", "n", "0"}


@contextmanager
def named(var: str, wanted: str):
    try:
        yield
    except (ValueError, ImproperlyConfigured):
        raise ImproperlyConfigured(f"{var} cannot be read: it must be {wanted}.") from None


def demand(is_so):
    if not is_so:
        raise ValueError


class Env(environ.Env):
    def bool(self, var, default):
        with named(var, "True or False"):
            demand(self.str(var, str(default)).strip().lower() in TRUTHS)
        return super().bool(var, default)

    def int(self, var, default):
        with named(var, "a whole number"):
            return super().int(var, default)

    def ints(self, var, default):
        with named(var, "whole numbers, separated by commas"):
            return self.list(var, int, default) or default

    def db_url(self, var, default):
        with named(var, "like postgres://user:password@host:5432/name"):
            url = self.str(var, default)
            # First, for what django-environ says of others holds the password.
            demand(url.startswith(("postgres://", "postgresql://", "sqlite://")))
            config = self.db_url_config(url)
            demand(config["NAME"])
        return config

    def redis_url(self, var, default):
        with named(var, "like redis://host:6379/0"):
            parts = urlsplit(url := self.str(var, default))
            demand(parts.scheme in {"", "redis", "rediss", "unix"} and parts.port != 0)
            demand(bool(parts.scheme) == bool(parts.hostname or parts.path))
        return url

    def smtp_url(self, var):
        with named(var, "like smtp+tls://user:password@host:587"):
            url = self.str(var)
            demand(url.startswith(("smtp://", "smtps://", "smtp+tls://", "smtp+ssl://")))
            config = self.email_url_config(url)
            demand(config["EMAIL_HOST"])
        return config
