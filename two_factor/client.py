"""How to call Vonage's Verify API: safely, or in the sandbox. The calls stand in views.py."""

import logging
from contextlib import contextmanager
from functools import lru_cache
from threading import BoundedSemaphore
from uuid import UUID

from django.conf import settings

logger = logging.getLogger(__name__)

# What reading an answer may raise: no JSON, JSON of another shape, or nested without end.
UNREADABLE = (ValueError, TypeError, RecursionError)
# Refusals that no visitor can do anything about.
OWNERS_STATUSES = {401, 402, 403}


class ProviderError(Exception):
    """Vonage did not do what was asked.

    ``status`` is the HTTP status of its refusal, or None where the outcome is unknown: no answer
    came, or none that can be read. ``request_id`` names the request in the way of a 409.
    """

    def __init__(self, status: int | None = None, request_id: UUID | None = None):
        super().__init__(f"status {status}")
        self.status = status
        self.request_id = request_id

    @property
    def is_refusal(self) -> bool:
        """Whether Vonage certainly did nothing, and certainly did not judge a code."""
        return self.status is not None and self.status < 500

    @property
    def is_for_owner(self) -> bool:
        """Whether only the owner of the site can fix it: credentials, balance, permissions."""
        return self.status in OWNERS_STATUSES

    @property
    def was_asked(self) -> bool:
        return not isinstance(self, ProviderBusy | ProviderUnreachable)


class ProviderUnreachable(ProviderError):
    """The call certainly did not reach Vonage: no address, no connection, no trusted TLS."""

    is_refusal = True


class ProviderBusy(ProviderError):
    """As many calls as this process may make at once are under way; this one was not made."""

    is_refusal = True


@lru_cache(maxsize=1)
def places(most: int):
    return BoundedSemaphore(most)


def has_credentials() -> bool:
    has_key = settings.VONAGE_API_KEY and settings.VONAGE_API_SECRET
    has_application = settings.VONAGE_APPLICATION_ID and settings.VONAGE_PRIVATE_KEY
    return bool(has_key or has_application)


def is_sandbox() -> bool:
    """Codes stay inside the process: in development, and never without DEBUG."""
    return settings.DEBUG and not has_credentials()


def is_paused() -> bool:
    """No code can be sent, so nobody can prove a phone; the polls stay readable."""
    return not settings.DEBUG and not has_credentials()


@contextmanager
def calling_vonage(call: str):
    """Yield the SDK's ``Verify``; turn whatever it raises into one ProviderError.

    Many failures are not the SDK's own exceptions, and those that are hold credentials and
    codes: none of them leaves this function.
    """
    from jwt import PyJWTError
    from requests import RequestException
    from vonage_http_client.errors import HttpRequestError
    from vonage_utils.errors import VonageError

    from .transport import wire

    # However long Vonage takes, most threads stay free for pages. Nor does one wait for its place:
    # 40 who waited a tenth of a second each made all pages eight times slower.
    place = places(settings.VERIFY_CALLS_AT_ONCE)
    if not place.acquire(blocking=False):
        logger.warning("Vonage Verify was not asked to %s: too many calls are under way", call)
        raise ProviderBusy
    wire.is_sent = False
    try:
        yield verify_client()
    except HttpRequestError as error:
        failure = ProviderError(error.response.status_code, request_id_of(error.response))
        level = logging.ERROR if failure.is_for_owner else logging.WARNING
        logger.log(level, "Vonage Verify answered %s to %s", failure.status, call)
    except (VonageError, RequestException, PyJWTError, *UNREADABLE, OSError) as error:
        name = type(error).__name__
        if wire.is_sent:
            failure = ProviderError()
            logger.warning("Vonage Verify gave no answer to %s: %s", call, name)
        else:
            failure = ProviderUnreachable()
            logger.warning("Vonage Verify could not be reached to %s: %s", call, name)
    else:
        return
    finally:
        place.release()
    try:
        raise failure
    finally:
        # "from None" would only hide it: raised in a with statement, it keeps the one it replaces.
        failure.__context__ = None


def request_id_of(response) -> UUID | None:
    """Return the request id in the body of an error; the body may be anything."""
    try:
        return UUID(response.json()["request_id"])
    except (*UNREADABLE, KeyError, AttributeError):
        return None


def verify_client():
    if is_sandbox():
        return sandbox_client()
    # Some hosts keep a variable on one line.
    private_key = settings.VONAGE_PRIVATE_KEY.replace("\\n", "\n") or None
    return vonage_client(
        settings.VONAGE_API_KEY or None,
        settings.VONAGE_API_SECRET or None,
        # Half an application would make the SDK refuse key and secret too.
        settings.VONAGE_APPLICATION_ID or None if private_key else None,
        private_key if settings.VONAGE_APPLICATION_ID else None,
        settings.VONAGE_API_HOST,
        settings.VONAGE_TIMEOUT,
    )


@lru_cache(maxsize=1)
def vonage_client(api_key, api_secret, application_id, private_key, api_host, timeout):
    """Make the client: one per process, made at its first use, shared by its threads.

    Imported here, because the SDK costs 25 MB and 0.3 s, and only processes that verify
    phones need it.
    """
    from vonage_http_client.auth import Auth
    from vonage_http_client.http_client import HttpClient, HttpClientOptions
    from vonage_verify import Verify

    from .transport import BoundedAdapter

    # The SDK repeats a POST as often as pool_maxsize says when the connection breaks, and so
    # would send ten messages for one click: 1 means once.
    options = HttpClientOptions(api_host=api_host, timeout=timeout, pool_maxsize=1, max_retries=0)
    auth = Auth(
        api_key=api_key,
        api_secret=api_secret,
        application_id=application_id,
        private_key=private_key,
    )
    http_client = HttpClient(auth, options)
    # Private, hence the pinned version: connections are kept, and each call is made once.
    http_client._session.mount("https://", BoundedAdapter(pool_maxsize=50, max_retries=0))
    # Otherwise a netrc file of the host could replace our credentials.
    http_client._session.auth = lambda request: request
    # A redirect would carry number and code to wherever it points.
    http_client._session.max_redirects = 0
    return Verify(http_client)


@lru_cache(maxsize=1)
def sandbox_client():
    """Make the SDK's client with the sandbox at the other end of its wire."""
    from vonage_http_client.auth import Auth
    from vonage_http_client.http_client import HttpClient, HttpClientOptions
    from vonage_verify import Verify

    from .sandbox import Sandbox

    auth = Auth(api_key="sandbox", api_secret="sandbox")  # noqa: S106
    http_client = HttpClient(auth, HttpClientOptions(pool_maxsize=1, max_retries=0))
    http_client._session.mount("https://", Sandbox())
    return Verify(http_client)
