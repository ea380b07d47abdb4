from datetime import timedelta

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .history import Event
from .models import TwoFactor

# What Django's filters of one field and the hierarchy of dates put into an address.
FILTER_SUFFIXES = ["", "__exact", "__isnull", "__id__exact"]
DATE_SUFFIXES = ["__year", "__month", "__day"]
# Each word of a search is a condition for each column: hundreds are more than SQLite takes.
MAX_SEARCH_WORDS = 10


class StrictModelAdmin(admin.ModelAdmin):
    """An admin whose lists are filtered by what they show as filters, and by nothing else.

    Django lets anyone with the list add ``?reporter=5`` or ``?number__startswith=`` to its address.
    That tells columns which the page does not show, such as who reported a poll. All our admins
    must derive from this class.
    """

    def lookup_allowed(self, lookup, value, request):
        if "\0" in str(value) and lookup not in self.own_parameters(request):
            # PostgreSQL takes no NUL in a text.
            return False
        return lookup in self.allowed_lookups(request)

    def own_parameters(self, request) -> set[str]:
        """Return the parameters of filters that look for their value among their choices."""
        filters = self.get_list_filter(request)
        return {each.parameter_name for each in filters if hasattr(each, "parameter_name")}

    def allowed_lookups(self, request) -> set[str]:
        """Return the names of parameters that the filters and dates beside the list use."""
        names = self.own_parameters(request)
        for list_filter in self.get_list_filter(request):
            if hasattr(list_filter, "parameter_name"):
                continue
            field = list_filter if isinstance(list_filter, str) else list_filter[0]
            names.update(field + suffix for suffix in FILTER_SUFFIXES)
        if self.date_hierarchy:
            names.update(self.date_hierarchy + suffix for suffix in DATE_SUFFIXES)
        return names

    def get_search_results(self, request, queryset, search_term):
        words = search_term.replace("\0", " ").split()[:MAX_SEARCH_WORDS]
        return super().get_search_results(request, queryset, " ".join(words))

    def response_action(self, request, *args, **kwargs):
        if not all(map(self.can_be_pk, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise BadRequest("An action was asked for on a row that cannot be.")
        return super().response_action(request, *args, **kwargs)

    def can_be_pk(self, text: str) -> bool:
        try:
            pk = self.opts.pk.to_python(text)
        except ValidationError:
            return False
        # SQLite takes no larger one.
        return not isinstance(pk, int) or pk.bit_length() <= 63

    def to_field_allowed(self, request, to_field):
        # Else ?_to_field= opens a row by the value of a column that is not shown.
        return to_field == self.opts.pk.name


class ReadOnlyAdmin(StrictModelAdmin):
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

    def has_reset_permission(self, request):
        return request.user.has_perm("two_factor.change_twofactor")

    @admin.action(description=_("Remove the phone of the chosen users"), permissions=["reset"])
    def reset(self, request, queryset):
        if not request.user.is_superuser:
            # Without a phone the password alone is between someone and the administration.
            queryset = queryset.filter(user__is_superuser=False, user__is_staff=False)
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
