from datetime import timedelta

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .history import Event
from .models import TwoFactor


class ReadOnlyAdmin(admin.ModelAdmin):
    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False


@admin.register(TwoFactor)
class TwoFactorAdmin(ReadOnlyAdmin):
    """Who has proven a phone. Removing it is for people who lost theirs."""

    list_display = ["user", "masked_number", "verified_at", "failures", "locked_until"]
    list_select_related = ["user"]
    fields = list_display
    search_fields = ["user__username"]
    actions = ["reset"]

    @admin.display(description=_("masked number"))
    def masked_number(self, two_factor):
        return two_factor.masked_number

    def has_delete_permission(self, request, obj=None):
        # Nothing deletes it but the account it belongs to, whose page asks here as well.
        is_own_page = request.resolver_match.url_name.startswith("two_factor_")
        return not is_own_page and super().has_delete_permission(request, obj)

    def lookup_allowed(self, lookup, value, request):
        # Else ?number__startswith= would tell a number, digit by digit.
        is_number = lookup.partition("__")[0] == "number"
        return not is_number and super().lookup_allowed(lookup, value, request)

    def has_reset_permission(self, request):
        return request.user.has_perm("two_factor.change_twofactor")

    @admin.action(description=_("Remove the phone of the chosen users"), permissions=["reset"])
    def reset(self, request, queryset):
        for two_factor in queryset:
            two_factor.reset()
            self.log_change(request, two_factor, "Removed the phone.")
        self.message_user(request, _("Removed. They prove a phone anew at their next vote."))


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """The history, under a table of how many codes were used, by country and hour."""

    change_list_template = "admin/two_factor/event/change_list.html"
    list_display = ["at", "kind", "user", "channel", "number", "region", "address", "seconds"]
    list_select_related = ["user"]
    list_filter = ["kind", "region", "channel"]
    search_fields = ["user__username"]
    date_hierarchy = "at"

    def has_delete_permission(self, request, obj=None):
        return False

    def changelist_view(self, request, extra_context=None):
        day = timezone.now() - timedelta(days=1)
        rows = list(Event.objects.conversion_by_hour(since=day)[:100])
        for row in rows:
            row["percent"] = min(100, round(100 * row["verified"] / row["started"]))
        return super().changelist_view(request, {"conversion": rows} | (extra_context or {}))
