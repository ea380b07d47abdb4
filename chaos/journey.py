"""The way of a new voter, in one browser whose requests go to the given sites in turn."""

import itertools

import requests

from .voters import TOKEN

PASSWORD = "several colourful umbrellas"
BALLOT = "/polls/1/"


class Browser:
    def __init__(self, *sites, session=None):
        self.sites, self.browser = itertools.cycle(sites), requests.Session()
        self.browser.cookies.set("csrftoken", TOKEN, domain="127.0.0.1")
        if session:
            self.browser.cookies.set("sessionid", session, domain="127.0.0.1")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.browser.close()

    def get(self, path):
        return self.browser.get(next(self.sites) + path, allow_redirects=False, timeout=30)

    def post(self, path, **fields):
        token = {"csrfmiddlewaretoken": self.browser.cookies["csrftoken"]}
        url = next(self.sites) + path
        return self.browser.post(url, fields | token, allow_redirects=False, timeout=30)

    def follow(self, answer):
        """Return the page that the answer leads to, as a browser shows it."""
        return self.get(answer.headers["Location"]) if answer.status_code == 302 else answer

    def must(self, answer, where) -> str:
        """Follow the answer, which leads ``where``; return the page there."""
        assert (answer.status_code, answer.headers.get("Location")) == (302, where)
        page = self.get(where)
        assert page.status_code == 200
        return page.text

    def prove(self, path, number, leads_to, **fields) -> str:
        """Have a code sent, and type it."""
        answer = self.post(path, number=number, next=leads_to, **fields)
        assert answer.status_code == 302
        assert "<h1>Type the code</h1>" in self.must(answer, answer.headers["Location"])
        return self.must(self.post("/2fa/confirm/", code="123456", next=leads_to), leads_to)


def travel(*sites):
    """Register, prove a phone, vote, see the results, and change the number."""
    with Browser(*sites) as browser:
        # What is picked before waits in the session.
        answer = browser.post("/polls/1/vote/", choice=2)
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/login/?next={BALLOT}")
        fields = {"password1": PASSWORD, "password2": PASSWORD, "next": BALLOT}
        answer = browser.post("/register/", username="grace", **fields)
        assert (answer.status_code, answer.headers["Location"]) == (302, BALLOT)
        assert browser.get(BALLOT).headers["Location"].startswith("/2fa/?next=")
        ballot = browser.prove("/2fa/create/", "+12025550123", BALLOT)
        assert 'value="2" checked' in ballot
        voted = browser.post("/polls/1/vote/", choice=2)
        assert "Your vote is counted." in browser.must(voted, "/polls/1/results/")
        account = browser.prove("/2fa/change/", "+12025550145", "/account/", password=PASSWORD)
        assert "•••• ••45" in account
