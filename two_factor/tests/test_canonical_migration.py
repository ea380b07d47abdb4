"""The migration that gives each proven number its one spelling."""

from importlib import import_module

import pytest
from django.apps import apps

from two_factor.models import TwoFactor
from two_factor.numbers import spellings

from .factories import TwoFactorFactory
from .test_numbers import TWINS

pytestmark = pytest.mark.django_db
migration = import_module("two_factor.migrations.0007_canonical_numbers")


def migrate():
    migration.write_canonical_numbers(apps, None)


@pytest.mark.parametrize(("other", "number"), TWINS)
def test_a_number_gets_its_one_spelling(other, number):
    phone = TwoFactorFactory(number=other)
    migrate()
    after = TwoFactor.objects.get(pk=phone.pk)
    assert str(after.number) == number
    # Browsers stay verified.
    assert (after.generation, after.verified_at) == (phone.generation, phone.verified_at)


def test_where_two_accounts_hold_both_spellings_each_keeps_its_own():
    for number in ["+541123456789", "+5491123456789"]:
        TwoFactorFactory(number=number)
    migrate()
    kept = {str(number) for number in TwoFactor.objects.values_list("number", flat=True)}
    assert kept == {"+541123456789", "+5491123456789"}
    assert kept == set(spellings("+541123456789"))


def test_of_two_other_spellings_one_becomes_the_canonical_one():
    for number in ["+24106031234", "+2416031234"]:
        TwoFactorFactory(number=number)
    migrate()
    kept = {str(number) for number in TwoFactor.objects.values_list("number", flat=True)}
    assert "+24166031234" in kept
    assert len(kept) == 2


def test_other_numbers_and_empty_ones_stay():
    numbers = ["+12025550123", "+33612345678", "+972502345678", None]
    for number in numbers:
        TwoFactorFactory(number=number)
    migrate()
    migrate()
    assert set(TwoFactor.objects.values_list("number", flat=True)) == set(numbers)


def test_every_beginning_of_a_twin_is_looked_for():
    for other, _number in TWINS:
        assert other.startswith(tuple(migration.BEGINNINGS))
