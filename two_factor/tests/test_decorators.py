import pytest
from django.http import HttpResponse
from django.urls import include, path, reverse

from two_factor.decorators import two_factor_required
from two_factor.mixins import VERIFIED

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("clock"),
    pytest.mark.urls(__name__),
]
done = []


@two_factor_required
def gift(request, name):
    """Give a gift."""
    done.append(name)
    return HttpResponse(f"A gift for {name}")


@two_factor_required(max_age=300)
def grave(request):
    return HttpResponse("Grave")


@two_factor_required()
def called(request):
    return HttpResponse("Called")


urlpatterns = [
    path("gift/<name>/", gift, name="gift"),
    path("grave/", grave, name="grave"),
    path("called/", called, name="called"),
    path("", include("pollstr.urls")),
]


@pytest.fixture(autouse=True)
def nothing_done():
    done.clear()


def test_the_verified_get_what_the_view_answers(verified):
    assert verified.get("/gift/ada/").text == "A gift for ada"
    assert verified.get("/called/").text == "Called"


def test_the_anonymous_are_sent_to_the_login(client):
    response = client.get("/gift/ada/?wrap=red&wrap=blue")
    assert response.status_code == 302
    assert response["Location"] == "/login/?next=/gift/ada/%3Fwrap%3Dred%26wrap%3Dblue"


def test_the_unverified_are_sent_to_prove_their_phone(signed_in):
    response = signed_in.get("/gift/ada/?wrap=red")
    assert response.status_code == 302
    assert response["Location"] == "/2fa/?next=%2Fgift%2Fada%2F%3Fwrap%3Dred"


@pytest.mark.parametrize("browser", ["client", "signed_in"])
@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_without_proof_the_view_does_nothing(request, browser, method):
    response = getattr(request.getfixturevalue(browser), method)("/gift/ada/")
    assert response.status_code == 302
    assert done == []


def test_the_proof_leads_to_it(awaiting_code):
    data = {"code": "482913", "next": "/gift/ada/"}
    response = awaiting_code.post(reverse("two_factor:confirm"), data, follow=True)
    assert response.text == "A gift for ada"


def test_a_session_that_is_too_old_asks_again(verified, clock, settings):
    clock.shift(settings.VERIFIED_IDLE_SECONDS)
    assert verified.get("/gift/ada/")["Location"].startswith("/2fa/?next=")


@pytest.mark.parametrize(("age", "status"), [(299, 200), (300, 302)])
def test_a_grave_act_asks_for_a_fresh_proof(verified, clock, age, status):
    clock.shift(age)
    assert verified.get("/grave/").status_code == status
    assert verified.get("/gift/ada/").status_code == status


def test_a_proof_that_was_not_fresh_enough_is_forgotten(verified, clock):
    clock.shift(300)
    verified.get("/grave/")
    assert VERIFIED not in verified.session


@pytest.mark.parametrize("browser", ["client", "signed_in", "verified"])
def test_no_answer_is_kept_by_caches(request, browser):
    response = request.getfixturevalue(browser).get("/gift/ada/")
    assert "no-store" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]


def test_the_view_keeps_its_name():
    assert (gift.__name__, gift.__doc__) == ("gift", "Give a gift.")
