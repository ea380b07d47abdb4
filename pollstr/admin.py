from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect

from two_factor.mixins import is_verified, redirect_to_two_factor


class AdminSite(admin.AdminSite):
    """Django's admin, for staff who have proven their phone in this browser."""

    site_header = site_title = "Pollstr"
    index_title = "Administration"

    def has_permission(self, request):
        return super().has_permission(request) and is_verified(request)

    def login(self, request, extra_context=None):
        next_url = request.GET.get("next", "/admin/")
        if not request.user.is_authenticated:
            return redirect_to_login(next_url)
        if not super().has_permission(request):
            raise PermissionDenied("Only staff may enter the administration.")
        if is_verified(request):
            return redirect("admin:index")
        return redirect_to_two_factor(request, next_url)
