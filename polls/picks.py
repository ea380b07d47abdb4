"""What people picked before they signed in or verified their phone number.

It waits in the session, because an address is seen by others: in the history, in logs of proxies.
"""

import time
from urllib.parse import unquote, urlsplit

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.urls import Resolver404, resolve, reverse

from .fields import MOST_CHOICES

# The session's key for picks, by the id of their poll.
PICKS = "picks"
MAX_PICKS = 5  # polls
MAX_AGE_SECONDS = 60 * 60
MAX_DIGITS = 19  # as many as the largest id has
MAX_FINGERPRINT = 32  # characters


def keep_pick(request, poll_id: int, values: list[str], seen: str = ""):
    """Keep the ids in ``values``, and the fingerprint of the poll in which they were picked."""
    session = request.session
    picked = [value for value in values[:MOST_CHOICES] if is_id(value)]
    others = {key: pick for key, pick in picks_of(session).items() if key != str(poll_id)}
    if not picked and len(others) == len(session.get(PICKS, {})):
        return
    if picked:
        pick = {"choice": picked, "seen": seen[:MAX_FINGERPRINT], "at": int(time.time())}
        others = dict([*others.items()][1 - MAX_PICKS :]) | {str(poll_id): pick}
    session[PICKS] = others
    if not request.user.is_authenticated:
        session.set_expiry(MAX_AGE_SECONDS)


def is_id(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS


def picks_of(session) -> dict:
    """Return the picks that are not too old, by the id of their poll as text."""
    now = time.time()
    return {
        key: pick
        for key, pick in session.get(PICKS, {}).items()
        if abs(now - pick["at"]) <= MAX_AGE_SECONDS
    }


def pick_for(request, poll_id: int) -> dict | None:
    """Return what was picked in a poll: ``choice`` (ids as texts) and ``seen``."""
    return picks_of(request.session).get(str(poll_id))


def forget_pick(request, poll_id: int):
    if str(poll_id) in request.session.get(PICKS, {}):
        keep_pick(request, poll_id, [])


@receiver(user_logged_in)
def let_session_last(sender, request, **kwargs):
    """Let a session that began with a pick last as long as any other of someone signed in."""
    if request.session.get(PICKS) and request.session.get("_session_expiry") == MAX_AGE_SECONDS:
        request.session.set_expiry(None)


def leads_to_pick(request, url: str) -> bool:
    """Whether ``url`` is the ballot of a poll in which something was picked."""
    if not request.session.get(PICKS):
        return False
    try:
        match = resolve(unquote(urlsplit(url).path))
    except Resolver404:
        return False
    return match.view_name == "polls:ballot" and pick_for(request, match.kwargs["pk"]) is not None


def is_from_own_page(request) -> bool:
    """Whether the browser says that a page of this very site sent the request."""
    headers, own = request.headers, f"{request.scheme}://{request.get_host()}"
    site = headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    if "Origin" in headers:
        return headers["Origin"] == own
    return headers.get("Referer", "").startswith(f"{own}/")


def is_from_list(request) -> bool:
    """Whether somebody followed a link of our own list of polls.

    No other page will do: signing in leads on to an address that a stranger may have made up.
    """
    path = urlsplit(request.headers.get("Referer", "")).path
    return path == reverse("polls:list") and is_from_own_page(request)
