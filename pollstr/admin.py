"""Accounts and groups in the administration."""

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import admin as auth_admin
from django.contrib.auth import forms as auth_forms
from django.contrib.auth.models import Group, User
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from two_factor.admin import StrictModelAdmin
from two_factor.mail import send
from two_factor.models import HOUR, Limit, Limited
from two_factor.steps import when_again

from .forms import email_field
from .site_url import absolute_url

# How many links for a new password and how many new email addresses one member of the site team
# can give out in an hour, and how many links one account can get.
MAX_LINKS_PER_HOUR = 20
MAX_EMAILS_PER_HOUR = 20
MAX_LINKS_PER_ACCOUNT_PER_HOUR = 5
TOO_MANY_LINKS = _("Too many links for a new password were sent.")
TOO_MANY_EMAILS_ERROR = _("You changed too many email addresses.")

admin.site.unregister([Group, User])


def count_use(name: str, value, most: int, reason: str):
    """Count one more use in this hour, or raise Limited."""
    limit = Limit.objects.add(name, value, HOUR)
    if limit.count > most:
        raise Limited(reason, limit.ends_at - timezone.now())


@admin.register(Group)
class GroupAdmin(StrictModelAdmin, auth_admin.GroupAdmin):
    """Groups. Only superusers change them: others could give themselves every permission."""

    def has_add_permission(self, request):
        return request.user.is_superuser

    def has_change_permission(self, request, obj=None):
        return request.user.is_superuser

    def has_delete_permission(self, request, obj=None):
        return request.user.is_superuser


class UserForm(auth_forms.UserChangeForm):
    email = email_field()
    # Whoever is changing the account.
    staff = None

    def clean_email(self):
        email = self.cleaned_data["email"]
        if email != self.instance.email:
            try:
                count_use("staff email", self.staff.pk, MAX_EMAILS_PER_HOUR, TOO_MANY_EMAILS_ERROR)
            except Limited as limited:
                sentence = when_again(limited.reason, limited.retry_after)
                raise ValidationError(sentence) from limited
        return email


@admin.register(User)
class UserAdmin(StrictModelAdmin, auth_admin.UserAdmin):
    """Accounts. Staff never choose a password: they send its owner a link to do so.

    Only superusers give permissions and change others of the site team. Nobody deletes their own
    account here, or takes rights from it, so that at least one superuser is left.
    """

    form = UserForm

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and may_touch(request.user, obj)

    def has_delete_permission(self, request, obj=None):
        is_own = obj is not None and obj.pk == request.user.pk
        may_delete = super().has_delete_permission(request, obj)
        return may_delete and may_touch(request.user, obj) and not is_own

    def get_readonly_fields(self, request, obj=None):
        fields = set(super().get_readonly_fields(request, obj))
        if not request.user.is_superuser:
            fields |= {"is_staff", "is_superuser", "groups", "user_permissions"}
        if obj is not None and obj.pk == request.user.pk:
            # The site asks for the password first, and confirms the address.
            fields |= {"email", "is_active", "is_staff", "is_superuser"}
        return sorted(fields)

    def get_form(self, request, obj=None, **kwargs):
        form = super().get_form(request, obj, **kwargs)
        form.staff = request.user
        return form

    def save_model(self, request, obj, form, change):
        if not change:
            return super().save_model(request, obj, form, change)
        columns = {field.name for field in obj._meta.concrete_fields}
        # Not the whole row: its owner may have chosen another password meanwhile.
        obj.save(update_fields=columns & set(form.changed_data))
        if "email" in form.changed_data:
            send(obj, "registration/mail/email_changed_by_team", to=form.initial["email"])
        return None

    def user_change_password(self, request, id, form_url=""):
        """Send the owner of an account a link to choose a new password."""
        user = self.get_object(request, unquote(id))
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        if user is None:
            raise Http404
        if user.pk == request.user.pk:
            return redirect("password_change")
        problem = why_no_link(user)
        if request.method != "POST":
            return self.render_link_page(request, user, problem)
        if problem:
            return self.render_link_page(request, user, problem, status=409)
        try:
            count_use("staff link", request.user.pk, MAX_LINKS_PER_HOUR, TOO_MANY_LINKS)
            count_use("link to", user.pk, MAX_LINKS_PER_ACCOUNT_PER_HOUR, TOO_MANY_LINKS)
        except Limited as limited:
            sentence = when_again(limited.reason, limited.retry_after)
            response = self.render_link_page(request, user, sentence, status=429)
            response["Retry-After"] = limited.retry_after
            return response
        url = absolute_url(request, password_link(user))
        send(user, "registration/mail/password_link", url=url)
        self.log_change(request, user, "Sent a link to choose a new password.")
        messages.success(request, gettext("The link is on its way to the account's email address."))
        return redirect(reverse("admin:auth_user_change", args=[user.pk]))

    def render_link_page(self, request, user, problem, status=200):
        context = self.admin_site.each_context(request) | {
            "title": gettext("Send a link for a new password: %(name)s")
            % {"name": user.get_username()},
            "original": user,
            "opts": self.opts,
            "problem": problem,
        }
        template = "admin/auth/user/password_link.html"
        return TemplateResponse(request, template, context, status=status)


def may_touch(staff, user) -> bool:
    """Whether ``staff`` may change this account.

    Only superusers change others of the site team: with another email address and a new link for a
    password, staff could take over an account that may do more than their own.
    """
    is_own = user is not None and user.pk == staff.pk
    return user is None or is_own or staff.is_superuser or not (user.is_staff or user.is_superuser)


def why_no_link(user) -> str:
    """Return why ``user`` cannot get a link for a new password, or an empty text."""
    if not settings.SENDS_MAIL:
        return gettext("This site sends no mail: EMAIL_URL is not set.")
    if not user.email:
        return gettext("This account has no email address.")
    if not user.is_active:
        return gettext("This account is switched off.")
    return ""


def password_link(user) -> str:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    return reverse("password_reset_confirm", args=[uid, token])
