"""The page that shows the site's look, in every state, to whoever works on it: only with DEBUG.

Colours and sizes are read from the style sheet, and components are the templates of the site.
"""

import re
from datetime import timedelta

from django import forms
from django.conf import settings
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from polls.forms import BallotForm
from polls.models import Choice, Poll
from polls.tally import with_shares
from two_factor.forms import CodeForm

STYLES = settings.BASE_DIR / "static/pollstr.css"
BLOCK = re.compile(r":root \{(.*?)^\s*\}", re.DOTALL | re.MULTILINE)
TOKEN = re.compile(r"--([a-z0-9-]+): (.+);")
COLOUR = re.compile(r"#(?:[0-9a-f]{3}){1,2}")
# What stands on what, and the ratio of contrast it needs: text 4.5, signs and edges 3 (WCAG 2.2).
TEXT, SIGN = 4.5, 3
PAIRS = [
    *((ink, ground, TEXT) for ink in ["ink", "ink-soft", "act"] for ground in ["paper", "sheet"]),
    *((ink, "act-soft", TEXT) for ink in ["ink", "act"]),
    *(("on-act", ground, TEXT) for ground in ["act", "act-strong"]),
    *(("sheet", tone, TEXT) for tone in ["act", "warn", "bad"]),
    *((ink, f"{tone}-soft", TEXT) for tone in ["warn", "bad"] for ink in ["ink", "act"]),
    ("bad", "sheet", TEXT),
    ("paper", "ink", TEXT),
    ("sheet", "ink-soft", TEXT),
    *((edge, "sheet", SIGN) for edge in ["edge", "bar", "act", "good"]),
    ("act", "track", SIGN),
]


def schemes() -> dict[str, dict[str, str]]:
    """Return the tokens of the style sheet by day and by night."""
    light, dark, *_ = [dict(TOKEN.findall(block)) for block in BLOCK.findall(STYLES.read_text())]
    return {"light": light, "dark": light | dark}


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted([luminance(one), luminance(other)], reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return how light ``colour`` (#rgb or #rrggbb) is, from 0 to 1, as WCAG reckons it."""
    digits = colour.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(part * weight for part, weight in zip(linear, [0.2126, 0.7152, 0.0722], strict=True))


def pixels(size: str) -> float:
    return 16 * float(size.removesuffix("rem"))


class SampleForm(forms.Form):
    question = forms.CharField(help_text="What people are asked.")
    zone = forms.ChoiceField(label="Time zone", choices=[("UTC", "UTC"), ("CET", "CET")])
    listed = forms.BooleanField(label="Listed", help_text="Otherwise it is found by link only.")
    words = forms.CharField(label="In your words", widget=forms.Textarea(attrs={"rows": 2}))
    locked = forms.CharField(disabled=True, initial="Cannot be changed any more", required=False)


def sample_poll(pk: int, question: str, **fields) -> Poll:
    poll = Poll(pk=pk, slug=f"sample{pk}", question=question, published_at=timezone.now(), **fields)
    texts = ["Fire red", "Moss green", "Sky blue"]
    choices = [Choice(pk=10 * pk + n, poll=poll, text=text) for n, text in enumerate(texts)]
    poll._prefetched_objects_cache = {"choices": choices}
    return poll


def sample_ballot(pk, title, picked=(), data=None, own=(), poll=(), **state):
    """Return what the template of a ballot wants to know."""
    poll = sample_poll(pk, title, **dict(poll))
    form = BallotForm(poll, data, initial={"choice": [10 * pk + n for n in picked]})
    own_choices = [10 * pk + n for n in own]
    return {"poll": poll, "form": form, "own_choices": own_choices, "has_voted": bool(own)} | state


def sample_bars(pk, title, votes, own=()):
    voters, names = sum(votes), ["Fire red", "Moss green", "Sky blue"]
    choices = [
        {"id": pk + n, "text": text, "votes": count}
        for n, (text, count) in enumerate(zip(names, votes, strict=True))
    ]
    own_choices = [pk + n for n in own]
    return {
        "title": title,
        "choices": with_shares(choices, voters),
        "own_choices": own_choices,
        "voters": voters,
        "most": max(votes),
    }


@require_safe
def styleguide(request):
    tokens = schemes()
    light = tokens["light"]
    now = timezone.now()
    context = {
        "schemes": [
            {
                "name": name,
                "swatches": [(n, value) for n, value in of.items() if COLOUR.fullmatch(value)],
                "pairs": [
                    (ink, ground, of[ink], of[ground], contrast(of[ink], of[ground]), needed)
                    for ink, ground, needed in PAIRS
                ],
            }
            for name, of in tokens.items()
        ],
        "texts": [(name, value) for name, value in light.items() if name.startswith("text-")],
        "spaces": [(n, v, pixels(v)) for n, v in light.items() if n.startswith("space-")],
        "radii": [(n, v, pixels(v)) for n, v in light.items() if n.startswith("radius")],
        "ballots": [
            sample_ballot(1, "Nothing picked?", proves_later=True),
            sample_ballot(2, "Picked?", picked=[1]),
            sample_ballot(3, "Voted before?", picked=[0], own=[0]),
            sample_ballot(4, "Sent without an answer?", data={}),
            sample_ballot(5, "Final?", picked=[2], own=[2], is_final=True),
            sample_ballot(6, "Not open yet?", poll={"opens_at": now + timedelta(days=2)}),
            sample_ballot(7, "Several answers?", picked=[0, 2], poll={"max_choices": 3}),
        ],
        "results": [
            sample_bars(810, "One is ahead, and it is yours", [25, 24, 11], own=[0]),
            sample_bars(820, "Level, and yours is another", [6, 6, 1], own=[2]),
            sample_bars(830, "Nobody has voted", [0, 0, 0]),
        ],
        "card": sample_poll(90, "A poll in the list?"),
        "closed_card": sample_poll(91, "A closed poll in the list?", closes_at=now),
        "forms": [SampleForm(auto_id="new_%s"), SampleForm({}, auto_id="sent_%s")],
        "code_form": CodeForm(auto_id="code_%s"),
    }
    return render(request, "styleguide.html", context)
