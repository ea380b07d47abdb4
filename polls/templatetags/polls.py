from django import template

register = template.Library()


@register.filter
def page(poll, name: str) -> str:
    """Return the address of one of a poll's pages: ``{{ poll|page:"results" }}``."""
    return poll.url(name)
