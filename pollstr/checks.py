"""Settings that cannot work, or leave the site without something, told by `manage.py check`."""

import re

import phonenumbers
from django.conf import settings
from django.core.checks import Error, Tags, Warning, register, run_checks
from django.core.exceptions import ImproperlyConfigured

from two_factor.client import has_credentials
from two_factor.numbers import is_open

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
    "TRUSTED_PROXIES": 0,
}


def refuse_errors():
    """Stop the start of a server, which unlike Django's commands asks for no checks itself."""
    found = run_checks(tags=[Tags.security])
    if errors := [error.msg for error in found if error.is_serious() and not error.is_silenced()]:
        raise ImproperlyConfigured(" ".join(errors))


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
            hint="Write two capital letters each, without spaces: US,CA,GB.",
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
