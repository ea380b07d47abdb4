"""Draw static/icon-*.png anew from static/icon.svg, in Chromium: python -m docs.draw_icons"""

import re
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from pollstr.tests.browser.chromium import browser_path

STATIC = Path(__file__).parent.parent / "static"
SIZES = [192, 512]
# Phones cut these into a form of their own, and keep a circle of four fifths.
FULL_SIZES = {"apple-touch": 180, "maskable": 512}


def main():
    icon = (STATIC / "icon.svg").read_text()
    full = re.sub(r'rx="\d+"', "", icon).replace('viewBox="0 0 32 32"', 'viewBox="-3 -3 38 38"')
    full = full.replace('width="32" height="32"', 'x="-3" y="-3" width="38" height="38"')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path())
        page = browser.new_page()
        for size in SIZES:
            draw(page, icon, size, f"icon-{size}.png")
        for name, size in FULL_SIZES.items():
            draw(page, full, size, f"icon-{name}.png")
        browser.close()


def draw(page, svg, size, name):
    page.set_viewport_size({"width": size, "height": size})
    page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{svg}")
    drawn = Image.open(BytesIO(page.screenshot(omit_background=True)))
    # A palette makes the file a third as large.
    drawn.quantize(64, Image.Quantize.FASTOCTREE).save(STATIC / name, optimize=True)


if __name__ == "__main__":
    main()
