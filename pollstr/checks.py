"""Settings that cannot work, or leave the site without something, told by `manage.py check`."""

import logging
import re
import uuid
from email.utils import parseaddr
from urllib.parse import urlsplit

import phonenumbers
from django.conf import settings
from django.core.checks import Error, Tags, Warning, register, run_checks
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email
from django.http.request import validate_host

from two_factor.client import has_credentials
from two_factor.numbers import is_open

logger = logging.getLogger(__name__)

# With fewer characters VOTER_KEY can be guessed; a random one of so many cannot.
MIN_VOTER_KEY, GOOD_VOTER_KEY = 16, 32
# As Django asks of SECRET_KEY: fewer are no random text.
MIN_DIFFERENT = 5
NEW_VOTER_KEY = "Set a long random one of its own, while no poll is open."
# What the SDK takes, and what makes Vonage refuse a name.
LONGEST_BRAND = 16
NOT_IN_A_BRAND = set("\\/{}:$")
HOST = r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?"
# With more wrong codes in a row guessing pays (NIST 800-63B-4 §3.2.2).
MOST_FAILURES = 100
# Below these the site refuses every code, never locks, or believes a header that anyone can send.
LEAST = {
    "POLLS_PER_DAY": 0,
    "VONAGE_TIMEOUT": 1,
    "VERIFY_CALLS_AT_ONCE": 1,
    "VERIFY_MAX_FAILURES": 1,
    "VERIFY_LOCK_SECONDS": 1,
    "VERIFY_RESEND_WAITS": 0,
    "VERIFY_SENDS_PER_USER": 0,
    "VERIFY_SENDS_PER_NUMBER": 0,
    "VERIFY_SENDS_PER_IP": 0,
    "VERIFY_SENDS_PER_PREFIX": 0,
    "VERIFY_SENDS_PER_DAY": 0,
    "VERIFIED_SECONDS": 1,
    "VERIFIED_IDLE_SECONDS": 1,
    "VERIFY_HISTORY_DAYS": 1,
    "TRUSTED_PROXIES": 0,
}


def refuse_errors():
    """Stop the start of a server, which unlike Django's commands asks for no checks itself."""
    found = run_checks(tags=[Tags.security])
    if errors := [error.msg for error in found if error.is_serious() and not error.is_silenced()]:
        raise ImproperlyConfigured(" ".join(errors))


def warn_of_lost_data():
    """Log at the start what nobody sees until the data is gone."""
    if not settings.DEBUG and not settings.HAS_DATABASE_URL:
        logger.warning(
            "DATABASE_URL is missing: votes are in a SQLite file, which many hosts delete at each "
            "restart"
        )


def unset(*names: str) -> list[str]:
    return [name for name in names if not getattr(settings, name)]


@register(Tags.security)
def half_a_credential(app_configs, **kwargs):
    pairs = [
        ("VONAGE_API_KEY", "VONAGE_API_SECRET"),
        ("VONAGE_APPLICATION_ID", "VONAGE_PRIVATE_KEY"),
    ]
    return [
        Error(
            f"{missing[0]} is missing: it is of use only with the other of {' and '.join(pair)}.",
            id="pollstr.E001",
        )
        for pair in pairs
        if len(missing := unset(*pair)) == 1
    ]


@register(Tags.security, deploy=True)
def sends_codes(app_configs, **kwargs):
    if has_credentials():
        return []
    return [
        Warning(
            "VONAGE_API_KEY and VONAGE_API_SECRET are missing: no code can be sent, "
            "so voting is paused.",
            hint="Set them, or VONAGE_APPLICATION_ID and VONAGE_PRIVATE_KEY.",
            id="pollstr.W001",
        )
    ]


@register(Tags.security, deploy=True)
def sends_mail(app_configs, **kwargs):
    if settings.EMAIL_URL:
        return []
    return [
        Warning(
            "EMAIL_URL is missing: no mail goes out, so nobody can reset a password.",
            hint="Set it to smtp+tls://user:password@host:587.",
            id="pollstr.W002",
        )
    ]


@register(Tags.security)
def private_key(app_configs, **kwargs):
    if not settings.VONAGE_PRIVATE_KEY or is_rsa_key(settings.VONAGE_PRIVATE_KEY):
        return []
    return [
        Error(
            "VONAGE_PRIVATE_KEY is no RSA private key in PEM text, so no call can be signed.",
            hint="Copy the whole file, BEGIN and END lines too; a line end may be written \\n.",
            id="pollstr.E002",
        )
    ]


def is_rsa_key(pem: str) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return isinstance(key, RSAPrivateKey)


@register(Tags.security)
def api_host(app_configs, **kwargs):
    if re.fullmatch(HOST, settings.VONAGE_API_HOST):
        return []
    return [
        Error(
            "VONAGE_API_HOST must be a host or host:port, such as api.nexmo.com.",
            id="pollstr.E008",
        )
    ]


@register(Tags.security)
def brand(app_configs, **kwargs):
    is_short = len(settings.VERIFY_BRAND) <= LONGEST_BRAND
    if is_short and NOT_IN_A_BRAND.isdisjoint(settings.VERIFY_BRAND):
        return []
    return [
        Error(
            f"VERIFY_BRAND has more than {LONGEST_BRAND} characters, or one of \\ / {{ }} : $, "
            "so Vonage sends no code.",
            id="pollstr.E003",
        )
    ]


@register(Tags.security)
def regions(app_configs, **kwargs):
    # -JE shuts a territory of a country that is open.
    named = set(settings.VERIFY_REGIONS) - {"*"}
    unknown = {
        region for region in named if region.removeprefix("-") not in phonenumbers.SUPPORTED_REGIONS
    }
    if not unknown:
        return []
    return [
        Error(
            f"VERIFY_REGIONS names what is no country: {', '.join(sorted(unknown))}.",
            hint="Write two capital letters each: US,CA,GB.",
            id="pollstr.E004",
        )
    ]


@register(Tags.security)
def default_region(app_configs, **kwargs):
    region = settings.VERIFY_DEFAULT_REGION
    if region not in phonenumbers.SUPPORTED_REGIONS:
        problem = "is no country of two capital letters"
    elif not is_open(region):
        problem = "is not among VERIFY_REGIONS, so numbers typed without + are all refused"
    else:
        return []
    return [Error(f"VERIFY_DEFAULT_REGION={region} {problem}.", id="pollstr.E005")]


@register(Tags.security)
def too_small(app_configs, **kwargs):
    return [
        Error(f"{name} must be at least {least}.", id="pollstr.E006")
        for name, least in LEAST.items()
        if smallest(getattr(settings, name)) < least
    ]


def smallest(value: int | list[int]) -> int:
    return min(value) if isinstance(value, list) else value


@register(Tags.security)
def too_many_failures(app_configs, **kwargs):
    if settings.VERIFY_MAX_FAILURES <= MOST_FAILURES:
        return []
    return [
        Error(
            f"VERIFY_MAX_FAILURES must be at most {MOST_FAILURES}: with more tries in a row a "
            "code can be guessed.",
            id="pollstr.E007",
        )
    ]


@register(Tags.security)
def idle_longer_than_all(app_configs, **kwargs):
    if settings.VERIFIED_IDLE_SECONDS <= settings.VERIFIED_SECONDS:
        return []
    return [
        Warning(
            "VERIFIED_IDLE_SECONDS is more than VERIFIED_SECONDS, so it has no effect.",
            id="pollstr.W003",
        )
    ]


@register(Tags.security, deploy=True)
def all_regions(app_configs, **kwargs):
    if "*" not in settings.VERIFY_REGIONS:
        return []
    return [
        Warning(
            "VERIFY_REGIONS is *: every country opened is one to be defrauded in.",
            hint="Name the countries your voters live in.",
            id="pollstr.W004",
        )
    ]


@register(Tags.security)
def voter_key(app_configs, **kwargs):
    if settings.DEBUG or settings.VOTER_KEY != settings.SECRET_KEY:
        return []
    problem = "VOTER_KEY is SECRET_KEY, so it would change with it and everyone could vote again."
    return [Error(problem, hint="Give SECRET_KEY another value.", id="pollstr.E010")]


@register(Tags.security, deploy=True)
def short_voter_key(app_configs, **kwargs):
    """Name a key that can be guessed. It does not stop the start.

    A site that has such a key and open polls cannot change it: everyone could vote again.
    """
    if len(settings.VOTER_KEY) >= MIN_VOTER_KEY:
        return []
    return [
        Error(
            f"VOTER_KEY has fewer than {MIN_VOTER_KEY} characters: anyone who guesses it can tell "
            "from a copy of the database who voted what.",
            hint=NEW_VOTER_KEY,
            id="pollstr.E012",
        )
    ]


@register(Tags.security, deploy=True)
def weak_voter_key(app_configs, **kwargs):
    if len(settings.VOTER_KEY) < MIN_VOTER_KEY:
        # An error says so already.
        return []
    if len(settings.VOTER_KEY) < GOOD_VOTER_KEY:
        missing = f"{GOOD_VOTER_KEY} characters"
    elif len(set(settings.VOTER_KEY)) < MIN_DIFFERENT:
        missing = f"{MIN_DIFFERENT} different characters"
    else:
        return []
    return [
        Warning(
            f"VOTER_KEY has fewer than {missing}.",
            hint=NEW_VOTER_KEY,
            id="pollstr.W005",
        )
    ]


@register(Tags.security, deploy=True)
def database_url(app_configs, **kwargs):
    if settings.HAS_DATABASE_URL:
        return []
    return [
        Warning(
            "DATABASE_URL is missing: votes are in a SQLite file beside manage.py. Many hosts "
            "delete it at each restart.",
            hint="Set it to postgres://user:password@host:5432/name. A SQLite file on a disk that "
            "stays may be named too: sqlite:////srv/pollstr/db.sqlite3.",
            id="pollstr.W006",
        )
    ]


@register(Tags.security, deploy=True)
def from_email(app_configs, **kwargs):
    if not settings.EMAIL_URL:
        return []
    if settings.DEFAULT_FROM_EMAIL == settings.NO_FROM_EMAIL:
        problem = "is missing: mail is from noreply@localhost, which mail servers refuse"
    elif not is_sender(settings.DEFAULT_FROM_EMAIL):
        problem = "is no address, so no mail can be sent"
    else:
        return []
    return [
        Warning(
            f"DEFAULT_FROM_EMAIL {problem}.",
            hint="Set it to an address that your mail server may send from.",
            id="pollstr.W007",
        )
    ]


def is_sender(text: str) -> bool:
    try:
        validate_email(parseaddr(text)[1])
    except ValidationError:
        return False
    return text.isprintable()


@register(Tags.security, deploy=True)
def operator(app_configs, **kwargs):
    names = ("name", "address", "email")
    missing = [f"OPERATOR_{name.upper()}" for name in names if not settings.OPERATOR[name]]
    if not missing:
        return []
    return [
        Warning(
            f"{', '.join(missing)} missing: the imprint and the privacy page do not say who runs "
            "the site.",
            hint="Set them: your name or your company's, and how to reach you.",
            id="pollstr.W008",
        )
    ]


@register(Tags.security, deploy=True)
def trusted_proxies(app_configs, **kwargs):
    if settings.TRUSTED_PROXIES or not settings.SECURE_SSL_REDIRECT:
        return []
    return [
        Warning(
            "TRUSTED_PROXIES is 0, so the site does not believe the proxy that speaks https for "
            "it, and every page redirects to itself.",
            hint="Set it to the number of proxies in front of the site (Heroku: 1).",
            id="pollstr.W009",
        )
    ]


@register(Tags.security, deploy=True)
def site_name(app_configs, **kwargs):
    if settings.SITE_URL:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS has no full name and SITE_URL is missing: links in mails follow the "
            "Host header, which anyone can send.",
            hint="Set SITE_URL to the address of the site: https://polls.example.com.",
            id="pollstr.W010",
        )
    ]


@register(Tags.security)
def site_url(app_configs, **kwargs):
    host = urlsplit(settings.SITE_URL).hostname
    if not host or validate_host(host, settings.ALLOWED_HOSTS):
        return []
    return [
        Error(
            "SITE_URL is not among ALLOWED_HOSTS, so links in mails would be refused.",
            hint="Add its host name to ALLOWED_HOSTS.",
            id="pollstr.E011",
        )
    ]


@register(Tags.security, deploy=True)
def plain_site_url(app_configs, **kwargs):
    if not (settings.SECURE_SSL_REDIRECT and settings.SITE_URL.startswith("http:")):
        return []
    return [
        Warning(
            "SITE_URL is http, so what a link in a mail allows is sent unencrypted before the "
            "site redirects to https.",
            hint="Begin it with https://.",
            id="pollstr.W011",
        )
    ]


@register(Tags.security)
def application_id(app_configs, **kwargs):
    given = settings.VONAGE_APPLICATION_ID
    try:
        # It also takes braces and urn:uuid:, which Vonage does not.
        is_good = not given or str(uuid.UUID(given)) == given.lower()
    except ValueError:
        is_good = False
    if is_good:
        return []
    return [
        Error(
            "VONAGE_APPLICATION_ID is not the id of an application, so Vonage refuses every call.",
            hint="Copy it from the dashboard: 36 characters, like "
            "78d335fa-323d-0114-9c3d-d6f0d48968cf.",
            id="pollstr.E009",
        )
    ]
