"""The gate for views that are functions."""

from functools import wraps

from django.contrib.auth.views import redirect_to_login
from django.utils.cache import add_never_cache_headers

from .mixins import is_verified, redirect_to_two_factor


def two_factor_required(view=None, *, max_age: int | None = None):
    """Let only those pass who have proven their phone in this browser, as TwoFactorMixin does.

    Use it on views that open with GET: whoever is sent away comes back to the same address.
    """

    def decorate(view):
        @wraps(view)
        def wrapped(request, *args, **kwargs):
            response = refuse(request, max_age) or view(request, *args, **kwargs)
            add_never_cache_headers(response)
            return response

        return wrapped

    return decorate(view) if view else decorate


def refuse(request, max_age: int | None):
    """Return the answer for those who may not pass, None for those who may."""
    return_url = request.get_full_path()
    if not request.user.is_authenticated:
        return redirect_to_login(return_url)
    if not is_verified(request, max_age):
        return redirect_to_two_factor(request, return_url)
    return None
