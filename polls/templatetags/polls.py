import math
from datetime import UTC

from django import template
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.text import Truncator

from polls import clocks, links
from polls.languages import in_language
from polls.models import Ballot
from polls.picks import leads_to_pick
from polls.receipts import receipt_for
from polls.sharing import card_version
from pollstr import site_url

register = template.Library()


@register.filter
def page(poll, name: str) -> str:
    """Return the address of one of a poll's pages: ``{{ poll|page:"results" }}``."""
    return poll.url(name)


@register.filter
def teaser(poll) -> str:
    """Say what a poll is about, for search engines and previews of its link."""
    text = poll.description or " · ".join(choice.text for choice in poll.choices.all())
    return Truncator(" ".join(text.split())).chars(200)


@register.simple_tag
def is_open_to_authors() -> bool:
    """Whether anyone may make polls. Pages are shared by readers, so this looks at no user."""
    return settings.POLLS_PER_DAY > 0


@register.simple_tag(takes_context=True)
def absolute_url(context, name: str, *args) -> str:
    """Return an address that works outside the site: ``{% absolute_url "share" poll.slug %}``."""
    return site_url.absolute_url(context["request"], reverse(name, args=args))


@register.simple_tag(takes_context=True)
def card_url(context, poll) -> str:
    """Return the address of the poll's picture, whose few words are in the page's language.

    Another picture has another address, because other sites keep what they once fetched.
    """
    return in_language(f"{absolute_url(context, 'card', poll.slug)}?v={card_version(poll)}")


@register.filter
def moment(at, poll) -> str:
    """Say a moment as the poll's own clocks show it: ``{{ poll.closes_at|moment:poll }}``."""
    return poll.moment(at)


@register.filter
def seconds_left(at) -> int:
    """Return the whole seconds until a moment, for a script that waits for it."""
    return math.ceil((at - timezone.now()).total_seconds())


@register.filter
def has_pick(request, url: str) -> bool:
    """Whether something is picked on the ballot at ``url``: ``{% if request|has_pick:next %}``."""
    return leads_to_pick(request, url)


@register.filter
def receipt(ballot) -> str:
    """Return the code that shows that a ballot is counted: ``{{ ballot|receipt }}``."""
    return receipt_for(ballot)


@register.filter
def shares_ballots(poll, voters: int) -> bool:
    """Whether single ballots of a closed poll with so many voters may be downloaded."""
    return Ballot.objects.may_be_shared(poll, voters)


@register.filter
def short_moment(at, poll) -> str:
    """Say a moment as the poll's own clocks show it, for where ``poll.zone`` is named beside."""
    return clocks.short_moment(at, poll.zone)


@register.filter
def iso(at) -> str:
    """Write a moment for ``<time datetime>``, in UTC.

    HTML allows three decimal places of a second at most, and the database keeps six.
    """
    return at.astimezone(UTC).isoformat(timespec="seconds")


@register.filter(is_safe=True)
def linked(text: str) -> str:
    """Show what a stranger wrote, with web addresses as links: before ``linebreaks``."""
    return links.linked(text)
