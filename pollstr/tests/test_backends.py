import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import User

from pollstr.backends import UserBackend

pytestmark = pytest.mark.django_db


def test_the_second_factor_comes_in_the_same_query(two_factor, django_assert_num_queries):
    with django_assert_num_queries(1):
        user = UserBackend().get_user(two_factor.user_id)
        assert user.two_factor.number == "+12025550123"


def test_that_there_is_none_comes_in_the_same_query(user, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert not hasattr(UserBackend().get_user(user.pk), "two_factor")


def test_both_are_what_django_would_load(two_factor):
    loaded = UserBackend().get_user(two_factor.user_id)
    expected = User.objects.select_related("two_factor").get(pk=two_factor.user_id)
    assert fields(loaded) == fields(expected)
    assert fields(loaded.two_factor) == fields(expected.two_factor)
    assert loaded.two_factor.user is loaded
    assert not loaded._state.adding


def fields(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_an_inactive_user_is_nobody(signed_in, user):
    assert get_user(signed_in) == user
    user.is_active = False
    user.save()
    assert get_user(signed_in).is_anonymous


def test_a_user_who_is_gone_is_nobody(signed_in, user):
    user.delete()
    assert get_user(signed_in).is_anonymous
