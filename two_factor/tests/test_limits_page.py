import pytest
from django.urls import reverse

from .pages import page

URL = reverse("two_factor:limits")


@pytest.mark.django_db
def test_everybody_may_read_it(client):
    response = client.get(URL)
    assert response.status_code == 200
    assert "<h1>Limits</h1>" in page(response)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        (
            "VERIFY_RESEND_WAITS",
            [1, 45, 120, 7200],
            "longer each time: 1 second, then 45 seconds, then 2 minutes, then 2 hours.",
        ),
        ("VERIFY_SENDS_PER_USER", 71, "At most 71 an hour to one account"),
        ("VERIFY_SENDS_PER_NUMBER", 72, "and 72 to one number"),
        ("VERIFY_SENDS_PER_IP", 73, "At most 73 an hour from one internet address"),
        ("VERIFY_SENDS_PER_PREFIX", 74, "74 to one range of numbers"),
        ("VERIFY_SENDS_PER_DAY", 75, "75 a day from the whole site"),
        ("VERIFY_MAX_FAILURES", 76, "After 76 wrong tries in a row"),
        ("VERIFY_LOCK_SECONDS", 1200, "you wait 20 minutes"),
        ("VERIFIED_SECONDS", 43200, "stays verified for 12 hours at most"),
        ("VERIFIED_IDLE_SECONDS", 3600, "and 60 minutes when it is not used"),
    ],
)
@pytest.mark.django_db
def test_it_says_what_the_settings_say(client, settings, setting, value, sentence):
    setattr(settings, setting, value)
    assert sentence in page(client.get(URL))


@pytest.mark.django_db
def test_it_says_what_a_recovery_code_does_and_what_counts(client):
    text = page(client.get(URL))
    assert "A recovery code works meanwhile." in text
    assert "so do wrong passwords when you change the number" in text


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_can_only_be_read(client, db, method):
    assert getattr(client, method)(URL).status_code == 405


@pytest.mark.parametrize(
    ("a_day", "kept"), [(5000, "1000 of the codes of a day are kept"), (4, "")]
)
@pytest.mark.django_db
def test_it_tells_of_the_codes_kept_for_verified_numbers(client, settings, a_day, kept):
    settings.VERIFY_SENDS_PER_DAY = a_day
    text = page(client.get(URL))
    assert kept in text
    assert ("verified their number before" in text) == bool(kept)
