"""Names, addresses and passwords as people type them: case, encodings, what cannot be seen."""

import unicodedata

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from pollstr.backends import find_user
from pollstr.devices import account_mark
from pollstr.forms import AddressField, NewPasswordField, is_invisible
from pollstr.limits import as_looked_up, as_mailbox
from pollstr.models import Account, name_key
from two_factor.passwords import MAX_PASSWORD_LENGTH, MAX_TYPED_LENGTH, normalized, spellings
from two_factor.tests.factories import UserFactory
from two_factor.tests.pages import field_errors
from two_factor.tests.parallel import in_parallel

pytestmark = pytest.mark.django_db
LOGIN, REGISTER = reverse("login"), reverse("register")
PASSWORD = "correct horse battery"
TAKEN = "A user with that username already exists."


def register(name="grace", email="", password=PASSWORD):
    fields = {"username": name, "email": email, "password1": password, "password2": password}
    return Client().post(REGISTER, fields)


def sign_in(name, password=PASSWORD):
    return Client().post(LOGIN, {"username": name, "password": password})


@pytest.mark.parametrize("name", ["Ada", "ÉMILE", "ΣΊΣΥΦΟΣ", "Łukasz"])
def test_a_name_signs_in_in_any_case(name):
    assert register(name).status_code == 302
    for typed in [name, name.lower(), name.upper(), f" {name.title()} "]:
        assert sign_in(typed).status_code == 302
    assert TAKEN in field_errors(register(name.swapcase()))


def test_where_two_names_differ_in_case_only_each_is_found_by_its_own():
    # As they could come about before names were compared without case.
    User.objects.bulk_create([User(username=name) for name in ["Ada", "ada"]])
    for name in ["Ada", "ada"]:
        Account.objects.create(pk=User.objects.get(username=name).pk)
        assert find_user(name).username == name
    assert find_user("ADA") is None


@pytest.mark.parametrize("name", ["\0", "ada\0", "\0ada"])
def test_a_nul_in_a_name_reaches_no_query(client, user, name):
    asked = []

    def note(execute, sql, params, many, context):
        asked.extend(params or [])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        response = client.post(reverse("login"), {"username": name, "password": "wrong"})
    assert response.status_code == 200
    # PostgreSQL refuses such a query.
    assert not [value for value in asked if "\0" in str(value)]


def test_a_name_that_nobody_has_costs_as_many_queries(django_assert_num_queries):
    register("grace")
    for name in ["grace", "GRACE", "nobody"]:
        with django_assert_num_queries(2):
            find_user(name)


def test_a_name_that_was_changed_is_found_by_the_new_one():
    user = UserFactory(username="ada")
    user.username = "Lovelace"
    user.save()
    assert find_user("lovelace") == user
    assert find_user("ADA") is None


def test_a_change_to_a_name_that_another_has_in_another_case_is_no_fault():
    UserFactory(username="ada")
    user = UserFactory(username="grace")
    user.username = "ADA"
    user.save()
    assert find_user("ADA") == user
    assert find_user("Ada").username == "ada"


@pytest.mark.django_db(transaction=True)
def test_of_names_that_differ_in_case_only_one_is_registered_at_once():
    names = iter(["grace", "Grace", "GRACE", "gRACE"] * 4)
    statuses = in_parallel(16, lambda: register(next(names)).status_code)
    assert sorted(statuses) == [200] * 15 + [302]
    assert User.objects.count() == Account.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_accounts_of_before_are_found_in_any_case():
    try:
        MigrationExecutor(connection).migrate([("pollstr", None)])
        User.objects.bulk_create([User(username=name) for name in ["Grace", "Ada", "ada", "Émile"]])
    finally:
        MigrationExecutor(connection).migrate([("pollstr", "0002_names_of_accounts")])
    keys = dict(Account.objects.values_list("user__username", "name_key"))
    assert keys == {"Grace": "grace", "Ada": None, "ada": None, "Émile": "émile"}


def test_an_account_of_a_release_of_before_gets_its_row_when_it_signs_in():
    User.objects.bulk_create([User(username="Old")])
    user = User.objects.get()
    assert not Account.objects.exists()
    user.set_password(PASSWORD)
    User.objects.update(password=user.password)
    assert find_user("OLD") is None
    assert sign_in("Old").status_code == 302
    assert find_user("OLD") == user


INVISIBLE = [
    "\u200b", "\u200e", "\u2060", "\ufeff", "\u00ad", "\ufe0f", "\u115f", "\u3164", "\u202e",
    "\u00a0", "\u3000", "\u2800", "\x7f", "\U000e0041",
]  # fmt: skip


@pytest.mark.parametrize("address", ["ada@localhost", "ada@[10.0.0.1]", "ada@[IPv6:::1]", "ada@x"])
def test_no_address_leads_into_our_own_network(user, address):
    assert register(email=address).status_code == 200
    assert not User.objects.filter(username="grace").exists()


@pytest.mark.parametrize("blank", INVISIBLE, ids=lambda c: f"U+{ord(c):04X}")
@pytest.mark.parametrize("address", ["ada@example.com{}", "ada@exam{}ple.com", "ada@{}example.com"])
def test_no_address_holds_what_cannot_be_seen(user, blank, address):
    email = address.format(blank)
    # Blanks around an address are taken away.
    if email.strip() == "ada@example.com":
        return
    browser = Client()
    browser.force_login(user)
    answers = [
        register(email=email),
        browser.post(reverse("account_email"), {"email": email, "password": PASSWORD}),
        Client().post(reverse("password_reset"), {"email": email}),
    ]
    for answer in answers:
        assert answer.status_code == 200
        errors = field_errors(answer)
        assert "invisible character" in errors or "Enter a valid email address" in errors
    assert User.objects.get().email == ""


@pytest.mark.parametrize("email", ["ada@münchen.example", "o'hara+x@example.co.uk", "a@b.co"])
def test_ordinary_addresses_are_taken(email):
    assert register(email=email).status_code == 302
    assert User.objects.get().email == email


def test_a_domain_that_no_mail_server_can_be_asked_for_is_refused():
    assert "valid email" in field_errors(register(email=f"ada@{'ü' * 62}.com"))


def test_an_address_as_a_name_is_the_address_too(mailoutbox):
    register("grace@example.com")
    assert User.objects.get().email == "grace@example.com"
    [mail] = mailoutbox
    assert mail.to == ["grace@example.com"]


def test_an_address_beside_such_a_name_stays_what_was_typed():
    register("grace@example.com", email="hopper@example.com")
    assert User.objects.get().email == "hopper@example.com"


@pytest.mark.parametrize(
    "page",
    ["password_change", "account_email", "account_delete", "account_sign_out_others"],
)
def test_password_managers_find_the_name_in_each_form_that_asks_for_a_password(signed_in, page):
    field = '<input class="form-control-plaintext" id="id_account" value="ada"'
    text = signed_in.get(reverse(page)).text
    assert f'{field} autocomplete="username" readonly>' in text


def test_and_where_a_number_is_changed(verified, sandbox):
    assert 'value="ada" autocomplete="username" readonly>' in verified.get("/2fa/change/").text


TEXT = st.text(max_size=200)
# What a browser can send: lone surrogates have no bytes.
SENDABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(deadline=None)
@given(TEXT)
def test_normalizing_again_changes_nothing(text):
    assert normalized(normalized(text)) == normalized(text)
    assert len(name_key(text)) <= 450
    # None of them may hold what has no bytes.
    for made in [as_looked_up(text, 150), as_mailbox(text), *spellings(text)]:
        made.encode()
    assert len(account_mark(text)) == 16


@settings(deadline=None)
@given(st.from_regex(r"\A[\w.@+-]{1,150}\Z"))
def test_names_that_are_equal_but_for_case_have_one_key(name):
    name = unicodedata.normalize("NFKC", name)[:30]
    key = name_key(name)
    assert name_key(unicodedata.normalize("NFD", name)) == key
    assert name_key(name.casefold()) == key


@settings(deadline=None)
@given(TEXT)
def test_no_text_as_an_address_is_a_fault(text):
    try:
        email = AddressField(max_length=254).clean(text)
    except ValidationError:
        return
    assert not any(map(is_invisible, email))
    assert AddressField(max_length=254).clean(email) == email


@settings(deadline=None)
@given(TEXT)
def test_no_text_as_a_password_is_a_fault(text):
    try:
        password = NewPasswordField(max_length=MAX_PASSWORD_LENGTH, strip=False).clean(text)
    except ValidationError:
        return
    assert password == normalized(text)
    assert password in spellings(text)


def test_long_texts_are_bounded_before_they_are_normalized(monkeypatch):
    monkeypatch.setattr("two_factor.passwords.normalized", pytest.fail)
    monkeypatch.setattr("pollstr.forms.normalized", pytest.fail)
    monkeypatch.setattr("pollstr.forms.is_invisible", pytest.fail)
    long = "ﬁ" * (MAX_TYPED_LENGTH + 1)
    assert spellings(long) == []
    for field in [NewPasswordField(max_length=MAX_PASSWORD_LENGTH), AddressField(max_length=254)]:
        with pytest.raises(ValidationError):
            field.clean(long)


class RandomForms(TestCase):
    """Whatever is typed is answered with a page or a redirect, and registers and signs in alike."""

    @settings(max_examples=40, deadline=None)
    @given(SENDABLE, SENDABLE, SENDABLE)
    def test_forms(self, name, email, password):
        assert register(name, email, password).status_code in {200, 302}
        assert sign_in(name, password).status_code in {200, 302, 429}
        response = Client().post(reverse("password_reset"), {"email": email, "next": name})
        assert response.status_code in {200, 302, 429}

    @settings(max_examples=40, deadline=None)
    @given(st.from_regex(r"\A[\w.@+-]{1,30}\Z"), st.text(min_size=8, max_size=40))
    def test_what_registers_signs_in(self, name, password):
        if register(name, password=password).status_code != 302:
            return
        browser = Client()
        typed = unicodedata.normalize("NFD", password)
        browser.post(LOGIN, {"username": name.swapcase(), "password": typed})
        known = find_user(unicodedata.normalize("NFKC", name.swapcase()))
        assert get_user(browser).is_authenticated == (known is not None)
        assert sign_in(name, password).status_code == 302
