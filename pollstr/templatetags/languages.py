from django import template
from django.conf import settings
from django.core.exceptions import SuspiciousOperation

from two_factor.mixins import is_safe_next

register = template.Library()


@register.simple_tag
def languages() -> list[tuple[str, str]]:
    """Return the languages to choose from, each with its own name for itself."""
    return settings.LANGUAGES


@register.simple_tag(takes_context=True)
def here(context) -> str:
    """Return where whoever chooses another language comes back to: a page that opens with GET."""
    request, view = context.get("request"), context.get("view")
    if request is None:
        return ""
    if page_url := context.get("page_url"):
        return page_url
    if request.method == "POST" and hasattr(view, "get_return_url"):
        return view.get_return_url()
    # Of a form that was refused before any view saw it, nobody knows whether its address opens.
    if request.method == "POST" and view is None:
        return ""
    try:
        asked = request.GET.get("next", "")
        is_safe = not asked or is_safe_next(request, asked)
    except SuspiciousOperation:
        # A page that says so must not fail of it again: a host not ours, or too many fields.
        return ""
    return request.get_full_path() if is_safe else request.path
