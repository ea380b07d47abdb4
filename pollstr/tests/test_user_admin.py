"""Accounts in the administration: who may change what, and new passwords."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse

from polls.tests import people
from two_factor.models import HOUR, Limit, TwoFactor
from two_factor.tests.factories import TwoFactorFactory, UserFactory

pytestmark = pytest.mark.django_db


def url(name, *args):
    return reverse(f"admin:auth_{name}", args=args)


def change(user):
    return url("user_change", user.pk)


def password(user):
    return url("user_password_change", user.pk)


def user_of(browser):
    return User.objects.get(pk=browser.session["_auth_user_id"])


@pytest.fixture
def grace():
    return UserFactory(username="grace", email="grace@example.com")


@pytest.fixture
def root():
    """Another superuser."""
    return UserFactory(username="root", is_superuser=True, is_staff=True, email="r@example.com")


@pytest.fixture
def superuser():
    return people.staff(None)


@pytest.fixture
def clerk():
    """Staff who may change users, phones and groups, and is no superuser."""
    names = ["view_user", "change_user", "add_user", "delete_user"]
    names += ["change_group", "add_group", "delete_group", "view_twofactor", "change_twofactor"]
    return people.staff_who_may(*names)


def form(user, **fields):
    """Return what the page of ``user`` sends."""
    data = {
        "username": user.username,
        "first_name": "",
        "last_name": "",
        "email": user.email,
        "is_active": "on" if user.is_active else "",
        "last_login_0": "",
        "last_login_1": "",
        "date_joined_0": f"{user.date_joined:%Y-%m-%d}",
        "date_joined_1": f"{user.date_joined:%H:%M:%S}",
    }
    return data | {name: value for name, value in fields.items() if value is not None}


# Passwords


def test_staff_choose_no_password_but_send_a_link(clerk, client, grace, mailoutbox):
    before = grace.password
    text = clerk.get(password(grace)).text
    assert 'type="password"' not in text
    assert "Send the link" in text
    response = clerk.post(password(grace), {"password1": "chosen by staff", "password2": "x"})
    assert response["Location"] == change(grace)
    grace.refresh_from_db()
    assert grace.password == before
    [mail] = mailoutbox
    assert mail.to == ["grace@example.com"]
    assert LogEntry.objects.get().change_message == "Sent a link to choose a new password."
    # The link does what it says.
    [link] = re.findall(r"http://testserver(/reset/\S+)", mail.body)
    page = client.get(link, follow=True)
    new = {"new_password1": "correct horse 9", "new_password2": "correct horse 9"}
    assert client.post(page.redirect_chain[-1][0], new).status_code == 302
    grace.refresh_from_db()
    assert grace.check_password("correct horse 9")


@pytest.mark.parametrize("who", ["clerk", "superuser"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_ones_own_password_is_changed_on_the_site(request, who, method, mailoutbox):
    browser = request.getfixturevalue(who)
    own = user_of(browser)
    response = getattr(browser, method)(password(own), {"password1": "x", "password2": "x"})
    assert response["Location"] == reverse("password_change")
    assert own.password == User.objects.get(pk=own.pk).password
    assert mailoutbox == []


@pytest.mark.parametrize("method", ["get", "post"])
def test_only_superusers_send_superusers_a_link(clerk, superuser, root, method, mailoutbox):
    assert getattr(clerk, method)(password(root)).status_code == 403
    assert mailoutbox == []
    assert getattr(superuser, method)(password(root)).status_code in {200, 302}


def test_links_are_limited_by_staff(clerk, grace, mailoutbox):
    Limit.objects.add("staff link", user_of(clerk).pk, HOUR, 19)
    assert clerk.post(password(grace)).status_code == 302
    response = clerk.post(password(UserFactory(email="other@example.com")))
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert "Too many links for a new password were sent. Please try again in" in response.text
    assert len(mailoutbox) == 1


def test_links_are_limited_by_account(clerk, superuser, grace, mailoutbox):
    for browser in [clerk, superuser, clerk, superuser, clerk]:
        assert browser.post(password(grace)).status_code == 302
    assert superuser.post(password(grace)).status_code == 429
    assert len(mailoutbox) == 5


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"email": ""}, "This account has no email address."),
        ({"is_active": False}, "This account is switched off."),
    ],
)
def test_who_cannot_get_a_link_is_said(clerk, grace, fields, sentence, mailoutbox):
    User.objects.filter(pk=grace.pk).update(**fields)
    assert sentence in clerk.get(password(grace)).text
    response = clerk.post(password(grace))
    assert response.status_code == 409
    assert sentence in response.text
    assert mailoutbox == []


def test_a_site_without_mail_says_so(clerk, grace, settings):
    settings.SENDS_MAIL = False
    assert "EMAIL_URL is not set" in clerk.post(password(grace)).text


@pytest.mark.parametrize("pk", ["0", "x", "99999999999999999999", "_0A"])
def test_a_user_who_is_not_there_is_a_404(superuser, pk):
    assert superuser.get(f"/admin/auth/user/{pk}/password/").status_code == 404


# Email addresses


def test_a_changed_address_is_told_to_the_old_one(clerk, grace, mailoutbox):
    clerk.post(change(grace), form(grace, email="mallory@example.com"))
    grace.refresh_from_db()
    assert grace.email == "mallory@example.com"
    [mail] = mailoutbox
    assert mail.to == ["grace@example.com"]
    assert "was changed" in mail.subject


def test_what_leaves_the_address_mails_nobody(clerk, grace, mailoutbox):
    clerk.post(change(grace), form(grace, first_name="Grace"))
    grace.refresh_from_db()
    assert grace.first_name == "Grace"
    assert mailoutbox == []


def test_changed_addresses_are_limited(clerk, grace, mailoutbox):
    Limit.objects.add("staff email", user_of(clerk).pk, HOUR, 20)
    response = clerk.post(change(grace), form(grace, email="mallory@example.com"))
    assert response.status_code == 200
    assert "You changed too many email addresses. Please try again in" in response.text
    grace.refresh_from_db()
    assert grace.email == "grace@example.com"
    assert mailoutbox == []


def test_ones_own_address_is_changed_on_the_site(superuser):
    own = user_of(superuser)
    superuser.post(change(own), form(own, email="mallory@example.com"))
    assert User.objects.get(pk=own.pk).email == own.email


def test_saving_writes_only_what_was_changed(clerk, grace):
    """Its owner may have chosen another password while the page was open."""
    response = clerk.post(change(grace), form(grace, last_name="Hopper"))
    assert response.status_code == 302
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        clerk.post(change(grace), form(grace, last_name="H."))
    [update] = [q["sql"] for q in queries if q["sql"].startswith('UPDATE "auth_user"')]
    assert "last_name" in update
    assert '"password" =' not in update


# Rights


@pytest.mark.parametrize("who", ["clerk", "grace"])
def test_only_superusers_give_rights(clerk, grace, who):
    user = user_of(clerk) if who == "clerk" else grace
    group = Group.objects.create(name="All")
    fields = {"is_superuser": "on", "is_staff": "on", "groups": [group.pk]}
    fields["user_permissions"] = [Permission.objects.first().pk]
    before = set(user.user_permissions.all())
    clerk.post(change(user), form(user, **fields))
    after = User.objects.get(pk=user.pk)
    assert (after.is_superuser, after.is_staff) == (False, user.is_staff)
    assert not after.groups.exists()
    assert set(after.user_permissions.all()) == before


def test_superusers_give_rights(superuser, grace):
    fields = {"is_staff": "on", "user_permissions": [Permission.objects.first().pk]}
    assert superuser.post(change(grace), form(grace, **fields)).status_code == 302
    grace.refresh_from_db()
    assert grace.is_staff
    assert grace.user_permissions.count() == 1


def test_only_superusers_change_superusers(clerk, superuser, root):
    data = form(root, email="mallory@example.com")
    assert clerk.get(change(root)).status_code == 200
    assert clerk.post(change(root), data).status_code == 403
    assert User.objects.get(pk=root.pk).email == "r@example.com"
    assert superuser.post(change(root), data | {"is_superuser": "on"}).status_code == 302


def test_only_superusers_delete_superusers(clerk, superuser, root):
    assert clerk.post(url("user_delete", root.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": root.pk, "post": "yes"}
    clerk.post(url("user_changelist"), chosen)
    assert User.objects.filter(pk=root.pk).exists()
    assert superuser.post(url("user_delete", root.pk), {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=root.pk).exists()


@pytest.mark.parametrize("permission", [None, "change_poll"])
def test_staff_take_over_no_other_member_of_the_site_team(clerk, superuser, permission):
    boss = UserFactory(username="boss", is_staff=True, email="boss@example.com")
    if permission:
        boss.user_permissions.add(Permission.objects.get(codename=permission))
    TwoFactorFactory(user=boss, number="+12025550109")
    changed = form(boss, email="mallory@example.com", is_staff="on")
    assert clerk.post(change(boss), changed).status_code == 403
    assert clerk.post(password(boss)).status_code == 403
    assert clerk.post(url("user_delete", boss.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "reset", "_selected_action": TwoFactor.objects.get(user=boss).pk}
    clerk.post(reverse("admin:two_factor_twofactor_changelist"), chosen)
    boss = User.objects.select_related("two_factor").get(pk=boss.pk)
    assert (boss.email, boss.two_factor.number) == ("boss@example.com", "+12025550109")
    assert superuser.post(change(boss), changed).status_code == 302


def test_staff_open_their_own_record(clerk):
    own = user_of(clerk)
    data = form(own, first_name="Ada", is_staff="on")
    assert clerk.post(change(own), data).status_code == 302
    assert User.objects.get(pk=own.pk).first_name == "Ada"


def test_nobody_deletes_or_disarms_their_own_account_here(superuser):
    own = user_of(superuser)
    superuser.post(url("user_delete", own.pk), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": own.pk, "post": "yes"}
    superuser.post(url("user_changelist"), chosen)
    superuser.post(change(own), form(own, is_active=None))
    after = User.objects.get(pk=own.pk)
    assert (after.is_active, after.is_staff, after.is_superuser) == (True, True, True)


@pytest.mark.parametrize("page", ["group_add", "group_change", "group_delete"])
def test_only_superusers_change_groups(clerk, superuser, page):
    group = Group.objects.create(name="Clerks")
    args = [] if page == "group_add" else [group.pk]
    data = {"name": "New", "permissions": [Permission.objects.first().pk], "post": "yes"}
    assert clerk.post(url(page, *args), data).status_code == 403
    assert not Permission.objects.filter(group__isnull=False).exists()
    assert superuser.post(url(page, *args), data).status_code == 302


def test_only_superusers_remove_a_superusers_phone(clerk, superuser, root, grace):
    phones = [TwoFactorFactory(user=user, number=f"+1202555010{n}") for n, user in [(1, root)]]
    phones.append(TwoFactorFactory(user=grace, number="+12025550102"))
    chosen = {"action": "reset", "_selected_action": [phone.pk for phone in phones]}
    address = reverse("admin:two_factor_twofactor_changelist")
    clerk.post(address, chosen)
    assert TwoFactor.objects.get(user=root).number is not None
    assert TwoFactor.objects.get(user=grace).number is None
    superuser.post(address, chosen)
    assert TwoFactor.objects.get(user=root).number is None


def test_an_account_can_be_made(clerk):
    data = {"username": "new", "usable_password": "true"}
    data |= {"password1": "correct horse 9", "password2": "correct horse 9"}
    assert clerk.post(url("user_add"), data).status_code == 302
    assert User.objects.get(username="new").is_staff is False
