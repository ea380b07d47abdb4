from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from polls.models import Poll, Report, may_view_all
from two_factor.mixins import is_let_in, is_verified, redirect_to_two_factor

from .today import today

# The models in the order of the index; all others come after them.
ORDER = ["Poll", "Report", "User", "TwoFactor", "Event", "Group"]


def place(model: dict) -> int:
    name = model["object_name"]
    return ORDER.index(name) if name in ORDER else len(ORDER)


class AdminSite(admin.AdminSite):
    """Django's admin, for staff who have proven their phone in this browser."""

    site_header = site_title = "Pollstr"
    index_title = _("Administration")
    # It takes a quarter of a screen of 1280 pixels, which the lists need.
    enable_nav_sidebar = False

    def has_permission(self, request):
        return super().has_permission(request) and (is_verified(request) or is_let_in(request))

    def get_urls(self):
        own = [
            path("today/", require_safe(self.admin_view(self.today)), name="today"),
            path(
                "r/<path:content_type_id>/<path:object_id>/",
                require_safe(self.admin_view(self.view_on_site)),
                name="view_on_site",
            ),
        ]
        # Before Django's own, the last of which matches all.
        return own + super().get_urls()

    def today(self, request):
        if not may_view_all(request.user):
            raise PermissionDenied("The last 24 hours are for staff who may view polls.")
        context = self.each_context(request) | today() | {"title": _("The last 24 hours")}
        return TemplateResponse(request, "admin/today.html", context)

    def view_on_site(self, request, content_type_id, object_id):
        """Lead from a poll's page here to its public page.

        Django's own view leads all staff to every row, so that they learn the links of polls by
        link.
        """
        if not may_view_all(request.user):
            raise PermissionDenied("Only staff who may view polls are led to them.")
        is_poll = content_type_id == str(ContentType.objects.get_for_model(Poll).pk)
        if not is_poll or not object_id.isdecimal():
            raise Http404
        return redirect(get_object_or_404(Poll, pk=object_id))

    def autocomplete_view(self, request):
        # No form of ours uses it, and it lists rows of other models.
        raise Http404

    def index(self, request, extra_context=None):
        user, waiting = request.user, Report.objects.filter(settled_at=None)
        context = {
            "shows_today": may_view_all(user),
            "open_reports": waiting.count() if user.has_perm("polls.view_report") else None,
        }
        return super().index(request, context | (extra_context or {}))

    def get_app_list(self, request, app_label=None):
        """Return the apps and models with those first that staff open most."""
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=place)
        return sorted(apps, key=lambda app: place(app["models"][0]))

    def login(self, request, extra_context=None):
        next_url = request.GET.get("next", "/admin/")
        if not request.user.is_authenticated:
            return redirect_to_login(next_url)
        if not super().has_permission(request):
            raise PermissionDenied("Only staff may enter the administration.")
        if is_verified(request) or is_let_in(request):
            return redirect("admin:index")
        return redirect_to_two_factor(request, next_url)
