from django import template
from django.conf import settings

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
    if request.method == "POST" and hasattr(view, "get_return_url"):
        return view.get_return_url()
    asked = request.GET.get("next", "")
    return request.get_full_path() if not asked or is_safe_next(request, asked) else request.path
