from django import template
from django.urls import reverse
from django.utils.text import Truncator

from polls.languages import in_language
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


@register.simple_tag(takes_context=True)
def absolute_url(context, name: str, *args) -> str:
    """Return an address that works outside the site: ``{% absolute_url "share" poll.slug %}``."""
    return site_url.absolute_url(context["request"], reverse(name, args=args))


@register.simple_tag(takes_context=True)
def card_url(context, poll) -> str:
    """Return the address of the poll's picture, whose few words are in the page's language."""
    return in_language(absolute_url(context, "card", poll.slug))


@register.filter
def moment(at, poll) -> str:
    """Say a moment as the poll's own clocks show it: ``{{ poll.closes_at|moment:poll }}``."""
    return poll.moment(at)
