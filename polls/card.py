"""The picture of a poll that other sites show beside its link. It never says how votes stand."""

import re
import unicodedata
from io import BytesIO

from django.conf import settings
from django.utils.translation import get_language, gettext, ngettext, override
from PIL import Image, ImageDraw
from ttf_opensans import opensans

SIZE = WIDTH, HEIGHT = 1200, 630
MARGIN = 80
# As in static/pollstr.css.
PAPER, SHEET, LINE = "#f5f2ea", "#fffefb", "#ddd9cc"
INK, INK_SOFT, ACT = "#1c1b2e", "#5a586c", "#3730a3"
# From the largest letters in which the question fits, down to those still read in a small preview.
QUESTION_SIZES = [76, 64, 54, 46, 38, 32]
QUESTION_TOP, QUESTION_HEIGHT = 170, 265
CHOICES_TOP, CHOICE_HEIGHT = 462, 64
NOTDEF = "\uffff"
# More choices than have room beside each other.
MAX_CHOICES = 12
# What has nothing to show by itself: controls, marks of direction, joiners, variation selectors,
# tags and the like (Unicode's Default_Ignorable_Code_Point).
UNSEEN = re.compile(
    "[\\x00-\\x08\\x0e-\\x1b\\x7f-\\x84\\x86-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f"
    "\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0"
    "\\ufff0-\\ufff8\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff]"
)


def draw(question: str, choices: list[str]) -> bytes:
    """Return the card as a PNG, in the language spoken now if the font has its letters."""
    is_drawable = drawable(gettext("One phone, one vote."))
    with override(get_language() if is_drawable else settings.LANGUAGE_CODE):
        return draw_in_language(question, choices)


def draw_in_language(question: str, choices: list[str]) -> bytes:
    image = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(image)
    draw_wordmark(image, pen)
    draw_question(pen, drawable(question) or gettext("A poll waits for your vote."))
    texts = [drawable(text) for text in choices[:MAX_CHOICES]]
    if all(texts):
        draw_choices(pen, texts, len(choices))
    pen.text((MARGIN, 588), gettext("One phone, one vote."), INK_SOFT, font(400, 30), anchor="ls")
    out = BytesIO()
    # A palette makes the file a third as large.
    image.quantize(64, Image.Quantize.FASTOCTREE).save(out, "PNG")
    return out.getvalue()


def font(weight: int, size: int):
    return opensans(font_weight=weight).imagefont(size=size)


def drawable(text: str) -> str:
    """Return ``text`` as it can be drawn; nothing where the font lacks any sign that is seen.

    A question without one of its signs would be another question.
    """
    face = font(700, 20)
    box = bytes(face.getmask(NOTDEF))
    shown = UNSEEN.sub("", unicodedata.normalize("NFC", text))
    for sign in set(shown):
        mask = face.getmask(sign)
        if not sign.isspace() and (bytes(mask) == box or not mask.getbbox()):
            return ""
    return " ".join(shown.split())


def draw_wordmark(image, pen):
    """Draw what static/icon.svg shows, four times as large first, for smooth edges."""
    mark = Image.new("RGB", (256, 256), PAPER)
    pen_of_mark = ImageDraw.Draw(mark)
    pen_of_mark.rounded_rectangle((0, 0, 255, 255), 56, ACT)
    pen_of_mark.rounded_rectangle((62, 108, 89, 220), 13, SHEET)
    pen_of_mark.circle((128, 108), 66, ACT, SHEET, 27)
    pen_of_mark.circle((128, 108), 22, SHEET)
    image.paste(mark.resize((72, 72), Image.Resampling.LANCZOS), (MARGIN - 5, 62))
    pen.text((MARGIN + 82, 98), "Pollstr", ACT, font(700, 44), anchor="lm")


def draw_question(pen, text: str):
    for size in QUESTION_SIZES:
        face = font(700, size)
        lines, height = wrap(text, face), round(size * 1.25)
        if len(lines) * height <= QUESTION_HEIGHT:
            break
    for number, line in enumerate(lines[: QUESTION_HEIGHT // height]):
        pen.text((MARGIN, QUESTION_TOP + number * height), line, INK, face)


def wrap(text: str, face, width: int = WIDTH - 2 * MARGIN) -> list[str]:
    """Break ``text`` into lines, and a word only where it is longer than a line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if face.getlength(longer) <= width:
            lines[-1] = longer
            continue
        lines += pieces(word, face, width)
    return [line for line in lines if line]


def pieces(word: str, face, width: int) -> list[str]:
    parts = [""]
    for character in word:
        if face.getlength(parts[-1] + character) > width:
            parts.append("")
        parts[-1] += character
    return parts


def draw_choices(pen, texts: list[str], total: int):
    """Draw as many of the ``texts`` as fit beside each other, and how many more there are."""
    face, x = font(600, 30), MARGIN
    for number, text in enumerate(texts):
        left = total - number
        width = round(face.getlength(text)) + 96
        if x + width > WIDTH - MARGIN - (100 if left > 1 else 0):
            rest = f"+ {left}" if number else answers_to_pick_from(left)
            pen.text((x, CHOICES_TOP + CHOICE_HEIGHT // 2), rest, INK_SOFT, face, anchor="lm")
            return
        draw_choice(pen, x, width, text, face)
        x += width + 18


def answers_to_pick_from(number: int) -> str:
    words = ngettext("%(number)d answer to pick from", "%(number)d answers to pick from", number)
    return words % {"number": number}


def draw_choice(pen, x: int, width: int, text: str, face):
    middle = CHOICES_TOP + CHOICE_HEIGHT // 2
    box = (x, CHOICES_TOP, x + width, CHOICES_TOP + CHOICE_HEIGHT)
    pen.rounded_rectangle(box, 16, SHEET, LINE, 3)
    pen.circle((x + 36, middle), 11, SHEET, INK_SOFT, 2)
    pen.text((x + 64, middle), text, INK, face, anchor="lm")
