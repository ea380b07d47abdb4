from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from two_factor.mixins import is_let_in, is_verified, redirect_to_two_factor

from .today import today


class AdminSite(admin.AdminSite):
    """Django's admin, for staff who have proven their phone in this browser."""

    site_header = site_title = "Pollstr"
    index_title = _("Administration")

    def has_permission(self, request):
        return super().has_permission(request) and (is_verified(request) or is_let_in(request))

    def get_urls(self):
        own = [path("today/", require_safe(self.admin_view(self.today)), name="today")]
        # Before Django's own, the last of which matches all.
        return own + super().get_urls()

    def today(self, request):
        context = self.each_context(request) | today() | {"title": _("The last 24 hours")}
        return TemplateResponse(request, "admin/today.html", context)

    def login(self, request, extra_context=None):
        next_url = request.GET.get("next", "/admin/")
        if not request.user.is_authenticated:
            return redirect_to_login(next_url)
        if not super().has_permission(request):
            raise PermissionDenied("Only staff may enter the administration.")
        if is_verified(request) or is_let_in(request):
            return redirect("admin:index")
        return redirect_to_two_factor(request, next_url)
