import re

import pytest
from django.urls import reverse

from two_factor.history import Event
from two_factor.keeping import FRESH
from two_factor.mixins import VERIFIED
from two_factor.models import TwoFactor
from two_factor.recovery import (
    ALPHABET,
    CODES,
    LENGTH,
    NotVerified,
    RecoveryCode,
    key_name,
    keyed_fingerprint,
)

from .factories import UserFactory
from .pages import page
from .parallel import in_parallel

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:recovery_codes")
CODE = re.compile(r"\b[a-z2-9]{4}(?:-[a-z2-9]{4}){5}\b")


def use(user, code) -> bool:
    return RecoveryCode.objects.use(user, code)


def codes_on(response) -> list[str]:
    return re.findall(rf"<code>({CODE.pattern})</code>", page(response))


@pytest.fixture
def codes(user):
    return RecoveryCode.objects.renew(user)


def test_there_are_ten_different_ones(codes):
    assert len(set(codes)) == CODES == 10


def test_each_is_beyond_guessing(codes):
    assert len(set(ALPHABET)) ** LENGTH >= 2**112
    assert all(CODE.fullmatch(code) for code in codes)


def test_two_users_have_different_ones(codes):
    assert not set(codes) & set(RecoveryCode.objects.renew(UserFactory()))


def test_none_can_be_read_in_the_table(codes):
    table = str(list(RecoveryCode.objects.values())).lower()
    assert "fingerprint" in table
    for code in codes:
        assert code not in table
        assert code.replace("-", "") not in table


def test_a_row_moved_to_another_user_is_worth_nothing(codes):
    thief = UserFactory()
    RecoveryCode.objects.update(user=thief)
    assert not use(thief, codes[0])


def test_codes_work_after_a_change_of_the_sites_key(codes, user, settings):
    settings.SECRET_KEY = "another key"
    assert RecoveryCode.objects.unused().count() == CODES
    assert use(user, codes[0])


@pytest.fixture
def keyed_code(user):
    """A code that an earlier release stored."""
    mark = keyed_fingerprint(user.pk, "a" * 24)
    RecoveryCode.objects.create(user=user, fingerprint=mark, key_name=key_name())
    return "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"


def test_a_code_of_an_earlier_release_works_once(keyed_code, user):
    assert [use(user, keyed_code) for _ in range(2)] == [True, False]


def test_a_code_whose_key_is_gone_is_dead_and_not_counted(keyed_code, user, settings):
    assert RecoveryCode.objects.unused().count() == 1
    settings.SECRET_KEY = "another key"
    assert RecoveryCode.objects.unused().count() == 0
    assert not use(user, keyed_code)


def test_each_works_once(codes, user):
    assert [use(user, code) for code in codes] == [True] * CODES
    assert [use(user, code) for code in codes] == [False] * CODES


def test_a_used_one_is_noted_with_its_time(codes, user, clock):
    use(user, codes[0])
    assert [code.used_at.hour for code in RecoveryCode.objects.exclude(used_at=None)] == [12]
    assert RecoveryCode.objects.unused().count() == CODES - 1


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_uses_one_works(codes, user):
    assert sorted(in_parallel(16, lambda: use(user, codes[0]))) == [False] * 15 + [True]


@pytest.mark.parametrize(
    "spell",
    [
        str.upper,
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", " "),
        lambda code: f"  {code.replace('-', ' – ')}\n",
        lambda code: ".".join(code),
        lambda code: f"10. {code}",
        lambda code: f" 3) {code}",
        lambda code: "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in code),
        lambda code: code.replace("-", "\u2011"),
        lambda code: "\u200e" + code.replace("-", "\u200b-") + "\ufe0f",
    ],
)
def test_it_may_be_typed_in_many_ways(codes, user, spell):
    assert use(user, spell(codes[0]))


@pytest.mark.parametrize("code", ["", "-", "\0", "a" * 10_000, "aaaa-aaaa-aaaa-aaaa", "None"])
def test_anything_else_is_none(codes, user, code):
    assert not use(user, code)
    assert RecoveryCode.objects.unused().count() == CODES


def test_nobody_else_can_use_them(codes):
    assert not use(UserFactory(), codes[0])


def test_new_ones_void_the_old(codes, user):
    new = RecoveryCode.objects.renew(user)
    assert not any(use(user, code) for code in codes)
    assert use(user, new[0])


def test_new_ones_leave_those_of_others(codes, user):
    RecoveryCode.objects.renew(UserFactory())
    assert use(user, codes[0])


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_sets_one_remains(codes, user):
    in_parallel(16, lambda: RecoveryCode.objects.renew(user))
    assert RecoveryCode.objects.filter(user=user).count() == CODES


def test_the_page_shows_the_new_ones_once(verified, user):
    shown = codes_on(verified.post(URL))
    assert len(shown) == CODES
    assert all(use(user, code) for code in shown)
    assert not CODE.search(page(verified.get(URL)))


def test_the_page_with_the_new_ones_is_kept_by_nobody(verified):
    response = verified.post(URL)
    assert "no-store" in response["Cache-Control"]
    code = codes_on(response)[0]
    assert code not in str(dict(verified.session)) + str(verified.cookies)


def test_they_can_be_copied_printed_and_downloaded(verified):
    response = verified.post(URL)
    lines = "".join(f"{code}%0A" for code in codes_on(response))
    assert f'href="data:text/plain;charset=utf-8,{lines}"' in page(response)
    assert 'data-copy=".codes code" hidden' in page(response)
    assert "data-print hidden" in page(response)


def test_the_page_tells_how_many_are_left(verified, codes, user):
    for code in codes[:3]:
        use(user, code)
    RecoveryCode.objects.renew(UserFactory())
    assert "You have <strong>7</strong> unused codes." in page(verified.get(URL))


def test_the_page_tells_that_there_are_none(verified):
    assert "You have none yet." in page(verified.get(URL))


def test_looking_at_the_page_makes_none(verified, codes, user):
    for _ in range(2):
        verified.get(URL)
    assert use(user, codes[0])
    assert not Event.objects.exists()


def test_making_them_is_in_the_history(verified, user):
    verified.post(URL)
    assert Event.objects.get().kind == Event.Kind.RECOVERY_CODES
    assert Event.objects.get().user == user


def test_the_page_leads_on_to_where_the_person_came_from(verified):
    response = verified.post(URL, {"next": "/polls/1/?choice=2"})
    assert 'href="/polls/1/?choice=2">I have kept them' in page(response)


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_anonymous_sign_in_first(client, db, method):
    response = getattr(client, method)(URL)
    assert response["Location"].startswith("/login/?next=/2fa/recovery-codes/")
    assert not RecoveryCode.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_unverified_prove_their_phone_first(signed_in, codes, user, method):
    response = getattr(signed_in, method)(URL)
    assert response["Location"].startswith("/2fa/?next=%2F2fa%2Frecovery-codes%2F")
    assert use(user, codes[0])


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_proof_that_is_not_fresh_must_be_renewed(verified, codes, user, clock, method):
    clock.shift(FRESH)
    response = getattr(verified, method)(URL)
    assert response["Location"].startswith("/2fa/?next=%2F2fa%2Frecovery-codes%2F")
    assert VERIFIED not in verified.session
    assert use(user, codes[0])


def test_a_proof_that_is_fresh_is_enough(verified, clock):
    clock.shift(FRESH - 1)
    assert verified.post(URL).status_code == 200


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_takes_no_other_method(verified, codes, user, method):
    assert getattr(verified, method)(URL).status_code == 405
    assert use(user, codes[0])


def test_none_are_made_for_a_number_that_was_removed_meanwhile(two_factor, user):
    generation = two_factor.generation
    two_factor.reset()
    with pytest.raises(NotVerified):
        RecoveryCode.objects.renew(user, generation)
    assert not RecoveryCode.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_reset_at_the_same_moment_leaves_no_codes(two_factor, user):
    """Without the lock some of the rounds end with codes of a number that is gone."""
    for n in range(6):
        TwoFactor.objects.update(number="+12025550123")
        generation = TwoFactor.objects.get().generation
        acts = [
            lambda generation=generation: RecoveryCode.objects.renew(user, generation),
            TwoFactor.objects.get().reset,
        ]
        in_parallel(2, lambda acts=acts: acts.pop()())
        assert not RecoveryCode.objects.exists(), n


def test_a_reload_of_the_codes_voids_none_of_them(verified, user):
    url = reverse("two_factor:recovery_codes")
    form = {"newest": re.search(r'name="newest" value="(.*?)"', page(verified.get(url)))[1]}
    codes = re.findall(r"<code>(.*?)</code>", page(verified.post(url, form)))
    again = verified.post(url, form, follow=True)
    assert again.redirect_chain == [(f"{url}?next=%2Fpolls%2F", 302)]
    assert "were shown once" in page(again)
    assert use(user, codes[0])


def test_a_form_opened_later_makes_new_ones(verified, user):
    url = reverse("two_factor:recovery_codes")
    for _ in range(2):
        form = {"newest": re.search(r'name="newest" value="(.*?)"', page(verified.get(url)))[1]}
        assert page(verified.post(url, form)).count("<code>") == CODES
