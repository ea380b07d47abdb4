"""Weigh the first visit of a page, and have Lighthouse judge it: python -m bench.weight

The site runs under gunicorn with its collected, compressed static files, on the empty PostgreSQL of
DATABASE_URL; a real Chromium opens each page as a stranger with an empty cache. Lighthouse comes
from npm, where there is node.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from django.db import connection
from django.urls import reverse
from playwright.sync_api import sync_playwright

from pollstr.tests.browser.chromium import browser_path

from .pages import both_sites, make_polls
from .report import table

PHONE = {"width": 390, "height": 844}
MOST_KILOBYTES, MOST_REQUESTS = 40, 6
LIGHTHOUSE = "lighthouse@13.5.0"
CATEGORIES = ["performance", "accessibility", "best-practices", "seo"]
SHIFT = """
    new Promise((resolve) => {
        let shift = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) shift += entry.value;
        }).observe({type: "layout-shift", buffered: true});
        setTimeout(() => resolve(shift), 500);
    })
"""


def main():
    if connection.vendor != "postgresql" or connection.introspection.table_names():
        sys.exit("bench.weight needs an empty PostgreSQL database in DATABASE_URL (make bench).")
    with tempfile.TemporaryDirectory() as directory, both_sites(Path(directory)) as (site, _):
        poll, _ = make_polls()
        poll.results_for = poll.ResultsFor.EVERYONE
        poll.save()
        paths = {
            "list": reverse("polls:list"),
            "share": reverse("share", args=[poll.slug]),
            "login": reverse("login"),
            "results": poll.url("results"),
        }
        connection.close()
        weigh(site, paths)
        judge(site, paths)


def weigh(site, paths):
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path())
        for name, path in paths.items():
            sizes, shift = first_visit(browser, site + path)
            rows.append([name, f"{sum(sizes) / 1000:.1f}", len(sizes), f"{shift:.3f}"])
        browser.close()
    table(
        f"First visit (goals: ≤ {MOST_KILOBYTES} kB, ≤ {MOST_REQUESTS} requests, no shift)",
        ["page", "kB over the wire", "requests", "layout shift"],
        rows,
    )


def first_visit(browser, url) -> tuple[list[int], float]:
    """Return the bytes of each answer as they came over the wire, headers too, and the shift."""
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    wire = context.new_cdp_session(page)
    sizes = []
    # What stands in the style sheet (data:) is told as a request too, but nothing is sent for it.
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    wire.send("Network.enable")
    page.goto(url, wait_until="networkidle")
    shift = page.evaluate(SHIFT)
    context.close()
    return [size for size in sizes if size], shift


def judge(site, paths):
    if shutil.which("npx") is None:
        print("Lighthouse was not asked: it needs node (Debian: nodejs and npm).")
        return
    rows = [[name, *scores(site + path)] for name, path in paths.items()]
    table("Lighthouse (goal: 100 each)", ["page", *CATEGORIES], rows)


def scores(url) -> list[int]:
    command = ["npx", "--yes", LIGHTHOUSE, url, "--output=json", "--quiet"]
    command += ["--chrome-flags=--headless --no-sandbox --disable-gpu"]
    env = os.environ | {"CHROME_PATH": browser_path()}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    return [round(100 * report["categories"][name]["score"]) for name in CATEGORIES]


if __name__ == "__main__":
    main()
