import pytest
from django.conf import settings

from pollstr.styleguide import PAIRS, contrast, schemes

from .production import PRODUCTION, manage

STYLES = (settings.BASE_DIR / "static/pollstr.css").read_text()


@pytest.mark.parametrize(("debug", "found"), [("True", "styleguide"), ("False", "")])
def test_only_in_development_is_there_such_a_page(debug, found):
    look = "from django.urls import resolve; print(resolve('/styleguide/').url_name)"
    shown = manage("shell", "--no-imports", "-c", look, env=PRODUCTION | {"DEBUG": debug})
    assert shown.stdout.strip() == found
    assert ("Resolver404" in shown.stderr) is not bool(found)


def test_contrast_is_reckoned_as_the_standard_does():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_what_stands_on_what_can_be_read(name):
    colours = schemes()[name]
    faint = [
        f"{ink} on {ground}: {ratio:.2f}"
        for ink, ground, needed in PAIRS
        if (ratio := contrast(colours[ink], colours[ground])) < needed
    ]
    assert not faint


def test_by_night_every_colour_is_another():
    light, dark = schemes().values()
    same = [name for name in light if light[name].startswith("#") and light[name] == dark[name]]
    assert not same


def test_all_colours_are_tokens():
    """Forced colours have names of their own, and paper is black on white."""
    rest = STYLES.split("body {", 1)[1].split("@media print")[0]
    assert "#" not in rest.replace("#sandbox-code", "")


def test_no_side_is_called_left_or_right():
    """What is written from right to left is laid out from right to left."""
    for side in ["left", "right"]:
        assert f"-{side}:" not in STYLES
        assert f" {side}:" not in STYLES
        assert f": {side};" not in STYLES
