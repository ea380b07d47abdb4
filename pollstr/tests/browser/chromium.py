"""Where the machine's Chromium is."""

import shutil

# The best first: Chromium without a window of its own takes half as long over a page.
BROWSERS = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
]


def browser_path() -> str | None:
    """Return the path of the browser to test with, or None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)
