"""Reads the environment strictly: what cannot be read stops the start.

The sentence names the variable and never tells its value, which may hold a password.
"""

import re
from contextlib import contextmanager
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

# Anything else django-environ takes for False, so that a slip of the pen would turn https off.
TRUTHS = {"true", "on", "yes", "y", "1", "false", "off", "no", "n", "0"}
NAME = r"[a-z0-9-]+(\.[a-z0-9-]+)*"
IPV6 = r"\[[0-9a-f:.]+\]"
# As in ALLOWED_HOSTS: a leading dot stands for all subdomains, * for everything.
ALLOWED_HOST = re.compile(rf"\*|\.?{NAME}|{IPV6}")
ORIGIN = re.compile(rf"https?://(\*\.)?({NAME}|{IPV6})(:[0-9]{{1,5}})?")
SITE = re.compile(rf"https?://({NAME}|{IPV6})(:[0-9]{{1,5}})?")
# Addresses of this machine are no names under which others reach the site.
NO_NAME = re.compile(r"localhost|[0-9.]+|\[.*")
# Ports that the kinds of mail servers have (RFC 8314).
MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
# What Django's database backend takes out of a database's options for itself.
OPTIONS_OF_DJANGO = {"assume_role", "isolation_level", "pool", "server_side_binding"}
ON_THIS_MACHINE = {"", "localhost", "127.0.0.1", "::1", "[::1]"}


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

    def listed(self, var, default):
        """Return what stands between the commas, without blanks and empty entries."""
        entries = [entry.strip() for entry in self.list(var, default=default)]
        return [entry for entry in entries if entry]

    def hosts(self, var, default):
        wanted = "host names, without scheme, port or slash, separated by commas"
        with named(var, wanted):
            hosts = [host.lower() for host in self.listed(var, default)]
            demand(hosts and all(ALLOWED_HOST.fullmatch(host) for host in hosts))
        return hosts

    def origins(self, var):
        with named(var, "like https://other.example.com, separated by commas, without a path"):
            origins = [origin.lower() for origin in self.listed(var, [])]
            demand(all(ORIGIN.fullmatch(origin) for origin in origins))
            demand(all(has_possible_port(origin) for origin in origins))
        return origins

    def site_url(self, var):
        with named(var, "like https://polls.example.com, without a path"):
            url = self.str(var, "").strip().lower().removesuffix("/")
            demand(not url or (SITE.fullmatch(url) and has_possible_port(url)))
        return url

    def db_url(self, var, default):
        with named(var, "like postgres://user:password@host:5432/name"):
            url = self.str(var, default)
            # First, for what django-environ says of others holds the password.
            demand(url.startswith(("postgres://", "postgresql://", "sqlite://")))
            config = self.db_url_config(url)
            demand(config["NAME"])
            demand(url.startswith("sqlite") or are_options(config.get("OPTIONS", {})))
        return config

    def redis_url(self, var, default):
        with named(var, "like redis://host:6379/0"):
            parts = urlsplit(url := self.str(var, default))
            demand(parts.scheme in {"", "redis", "rediss", "unix"} and parts.port != 0)
            demand(bool(parts.scheme) == bool(parts.hostname or parts.path))
            demand(not url or can_be_connected(url))
        return url

    def smtp_url(self, var):
        with named(var, "like smtp+tls://user:password@host:587"):
            scheme, found, rest = self.str(var).strip().partition("://")
            # smtps is TLS from the first byte, as in every mail program. django-environ takes it
            # for STARTTLS.
            scheme = "smtp+ssl" if scheme == "smtps" else scheme
            demand(found and scheme in MAIL_PORTS)
            config = self.email_url_config(f"{scheme}://{rest}")
            demand(config["EMAIL_HOST"])
        return config | {"EMAIL_PORT": config["EMAIL_PORT"] or MAIL_PORTS[scheme]}


def are_options(options: dict) -> bool:
    """Whether PostgreSQL's library takes them. It would say so at the first connection only."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    try:
        make_conninfo(**{name: options[name] for name in options if name not in OPTIONS_OF_DJANGO})
    except ProgrammingError:
        return False
    has_mode = options.get("sslmode", "require") in SSL_MODES
    return has_mode and str(options.get("connect_timeout", 5)).isdecimal()


def has_possible_port(url: str) -> bool:
    # One that is too high raises ValueError.
    return urlsplit(url).port != 0


def can_be_connected(url: str) -> bool:
    """Whether the Redis library takes all of ``url``. It would say so at the first request only."""
    from redis import ConnectionPool, RedisError

    is_database = urlsplit(url).path.strip("/").isdecimal() or not urlsplit(url).path.strip("/")
    try:
        ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError, RedisError):
        return False
    return is_database or url.startswith("unix:")


def default_site_url(hosts: list[str], is_https: bool) -> str:
    """Return the base of absolute links: the first host that is a full name; "" without one."""
    names = [host for host in hosts if host[0] not in ".*" and not NO_NAME.fullmatch(host)]
    return f"{'https' if is_https else 'http'}://{names[0]}" if names else ""


def is_remote(database: dict) -> bool:
    """Whether a PostgreSQL database is reached over a network, and not by a socket or locally."""
    hosts = (database.get("HOST") or "").split(",")
    return any(host not in ON_THIS_MACHINE and not host.startswith("/") for host in hosts)
