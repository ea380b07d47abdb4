"""What people type and paste, cleaned before it is judged."""

import re
import unicodedata

# Characters without a look of their own: direction marks, joiners, variation selectors.
INVISIBLE = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Blanks that Unicode counts as letters and symbols.
BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
# What may stand between the digits of one code: "482 913", "482-913".
GAPS = r"[\s\-\u2010-\u2015\u2212._]{1,3}"


def clean(text: str) -> str:
    """Return ``text`` with plain digits, one spelling of each letter, and nothing invisible."""
    text = INVISIBLE.sub("", text)
    return "".join(clean_char(char) for char in text if unicodedata.category(char) != "Cf")


def clean_char(char: str) -> str:
    """Return the digit of any script as 0 to 9, and other characters in their plain form (NFKC).

    What only looks like a digit, such as ² and ½, stays: nobody types a code with it.
    """
    if char in BLANKS:
        return " "
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", char)
    return char if any(part.isdigit() for part in plain) else plain


def codes_in(text: str, length: int) -> set[str]:
    """Return each run of exactly ``length`` digits in a cleaned text, such as a pasted message.

    Where there is none, digits with gaps between them count as one run.
    """
    runs = set(re.findall(rf"(?<!\d)\d{{{length}}}(?!\d)", text))
    if runs:
        return runs
    spaced = re.findall(rf"\d+(?:{GAPS}\d+)+", text)
    joined = (re.sub(r"\D", "", run) for run in spaced)
    return {run for run in joined if len(run) == length}
