"""Browsers of those who may look at a poll, by what they have done there."""

from django.contrib.auth.models import Permission, User
from django.test import Client

from conftest import verify
from polls.models import Ballot
from two_factor.tests.factories import TwoFactorFactory


def anonymous(poll):
    return Client()


def signed_in(poll):
    client = Client()
    client.force_login(TwoFactorFactory().user)
    return client


def verified(poll, **user):
    client, two_factor = Client(), TwoFactorFactory(**user)
    client.force_login(two_factor.user)
    verify(client, two_factor)
    client.number = str(two_factor.number)
    return client


def voter(poll):
    client = verified(poll)
    Ballot.objects.cast(poll, client.number, [poll.choices.first().pk])
    return client


def author(poll):
    return verified(poll, user=poll.author)


def staff(poll):
    return verified(poll, user__is_staff=True, user__is_superuser=True)


def staff_who_may(*permissions):
    """Return a browser of verified staff with these permissions alone, such as "view_poll"."""
    browser = verified(None, user__is_staff=True)
    rows = Permission.objects.filter(codename__in=permissions)
    assert rows.count() == len(permissions)
    User.objects.get(pk=browser.session["_auth_user_id"]).user_permissions.set(rows)
    return browser


# As the columns of test_visibility.SEES.
ALL = [anonymous, signed_in, verified, voter, author]
