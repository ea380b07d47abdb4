"""A real browser against the running site, codes from the sandbox.

Whatever the browser complains about fails the test: errors and warnings of its console, errors
of a script, requests to another host, and a page without its Content-Security-Policy.
"""

from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect

from polls.tests.factories import PollFactory

from .chromium import browser_path

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
# The narrowest screen that WCAG 2.2 asks to fit on (1.4.10).
SMALLEST = {"width": 320, "height": 640}
# Milliseconds until a page counts as stuck: long enough for a busy machine.
TIMEOUT = 15_000
# All that a page may leave behind in a browser.
NECESSARY = {"sessionid", "csrftoken", "messages", "language", "device"}
STORED = """
    () => {
        try {
            return Object.keys(localStorage).concat(Object.keys(sessionStorage));
        } catch {
            return [];  // of a page without an address of its own
        }
    }
"""
expect.set_options(timeout=TIMEOUT)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    path = browser_path()
    if path is None:
        pytest.fail(
            "The browser tests need Chromium: install it"
            " (on Debian: apt-get install chromium-headless-shell).",
            pytrace=False,
        )
    return browser_type_launch_args | {
        "executable_path": path,
        "args": [
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-gpu",
            "--disable-quic",
            "--disable-sync",
            "--no-first-run",
        ],
    }


@pytest.fixture(scope="session")
def base_url(live_server):
    return live_server.url


@pytest.fixture
def browser_context_args(request, browser_context_args):
    """A desktop's, or what a test asks for by parametrizing this fixture."""
    return browser_context_args | {"viewport": DESKTOP} | getattr(request, "param", {})


@pytest.fixture(autouse=True)
def sandbox(sandbox, settings):
    """Codes are shown on the page, and may be asked for again at once."""
    settings.VERIFY_RESEND_WAITS = [0]


@pytest.fixture
def refusals():
    """The (status, path) of pages that a test means to be refused: Chromium logs such a page."""
    return set()


@pytest.fixture
def new_context(new_context, base_url, refusals):
    """Make browser contexts that are watched, and complain at the end of the test."""
    contexts, complaints = [], []

    def watched_context(**kwargs):
        context = new_context(**kwargs)
        context.set_default_timeout(TIMEOUT)
        context.on("console", lambda message: complaints.extend(of_console(message)))
        context.on("weberror", lambda error: complaints.append(f"page error: {error.error}"))
        context.on("request", lambda request: complaints.extend(of_request(request, base_url)))
        context.on("response", lambda response: complaints.extend(of_response(response)))
        contexts.append(context)
        return context

    def of_console(message):
        path = urlsplit(message.location["url"]).path
        is_meant = any(
            f"status of {status} " in message.text and path == refused
            for status, refused in refusals
        )
        if message.type in {"error", "warning"} and not is_meant:
            yield f"console {message.type} at {path}: {message.text}"

    yield watched_context
    for context in contexts:
        for page in context.pages:
            # An answer from the page comes after all that it had to say.
            stored = page.evaluate(STORED)
            assert not stored, f"Stored in the browser: {stored}"
        # What a banner would have to ask for (ePrivacy directive, article 5 (3)).
        names = {cookie["name"] for cookie in context.cookies()}
        assert names <= NECESSARY, f"cookies: {names}"
    assert not complaints, "\n".join(complaints)


def of_request(request, base_url):
    if not request.url.startswith((f"{base_url}/", "data:")):
        yield f"request to another host: {request.url}"


def of_response(response):
    is_page = response.headers.get("content-type", "").startswith("text/html")
    if is_page and "content-security-policy" not in response.headers:
        yield f"no Content-Security-Policy: {response.url}"


@pytest.fixture
def poll(db):
    return PollFactory(question="Which colour next?", choices=["Red", "Green", "Blue"])


@pytest.fixture
def enter(context, base_url):
    """Give the browser the session of a test client."""

    def enter(client):
        session = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": base_url}])

    return enter


@pytest.fixture
def audit(page):
    """Find fault with the page as it stands: axe at both widths and for contrast in the dark and in
    forced colours; no scrolling sideways; nothing cut off by a reader's own spacing of text.
    """

    def audit(state):
        page.evaluate(AXE_SCRIPT)
        for screen in [DESKTOP, PHONE]:
            page.set_viewport_size(screen)
            demand_none(page.evaluate(RUN_AXE), f"{state}, {screen['width']} px wide")
        for media in DARK, FORCED:
            page.emulate_media(**media)
            # Colours change at once, and not within the time of a transition.
            demand_none(page.evaluate(RUN_AXE_ON_CONTRAST), f"{state}, {media}")
        page.emulate_media(**LIGHT)
        page.set_viewport_size(SMALLEST)
        assert not page.evaluate(IS_TOO_WIDE), f"{state} scrolls sideways at 320 px"
        page.evaluate(SPACE_TEXT)
        assert not page.evaluate(IS_TOO_WIDE), f"{state} scrolls sideways with spaced text"
        cut = page.evaluate(CUT_TEXTS)
        assert not cut, f"{state} cuts spaced text off: {cut}"
        page.evaluate(UNSPACE_TEXT)
        page.set_viewport_size(DESKTOP)

    return audit


def demand_none(violations, where):
    assert not violations, f"{where}:\n{in_words(violations)}"


# All rules but the experimental ones; the size of targets is off by default, though WCAG 2.2 AA
# asks for it.
RUN_AXE = """
    axe.run({resultTypes: ["violations"], rules: {"target-size": {enabled: true}}})
        .then((results) => results.violations)
"""
RUN_AXE_ON_CONTRAST = """
    axe.run({resultTypes: ["violations"], runOnly: ["color-contrast"]})
        .then((results) => results.violations)
"""
LIGHT = {"color_scheme": "light", "forced_colors": "none", "reduced_motion": "no-preference"}
DARK = {"color_scheme": "dark", "reduced_motion": "reduce"}
FORCED = {"color_scheme": "light", "forced_colors": "active"}
# What WCAG 2.2 has a reader set (1.4.12); a constructed style sheet passes the policy.
SPACE_TEXT = """
    () => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(`* {
            line-height: 1.5 !important; letter-spacing: 0.12em !important;
            word-spacing: 0.16em !important;
        } p { margin-block-end: 2em !important; }`);
        document.adoptedStyleSheets = [sheet];
    }
"""
UNSPACE_TEXT = "document.adoptedStyleSheets = []"
# Fields scroll what is typed into them, and what only a screen reader gets is a pixel high.
CUT_TEXTS = """
    [...document.querySelectorAll("body *")].filter((part) =>
        !part.matches("input, textarea, select, option, svg, svg *, .visually-hidden")
        && getComputedStyle(part).overflow !== "visible" && part.checkVisibility()
        && getComputedStyle(part).textOverflow !== "ellipsis"
        && (part.scrollHeight > part.clientHeight + 1 || part.scrollWidth > part.clientWidth + 1)
    ).map((part) => part.outerHTML.slice(0, 200))
"""
IS_TOO_WIDE = "document.scrollingElement.scrollWidth > innerWidth"


def in_words(violations):
    return "\n".join(
        f"- {violation['help']} ({violation['id']})\n  {node['html']}\n  {node['failureSummary']}"
        for violation in violations
        for node in violation["nodes"]
    )
