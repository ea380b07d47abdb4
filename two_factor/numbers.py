"""Phone numbers: how they are read, which are accepted, and the one spelling of each.

``read_number`` is the way in for what people type. ``canonical`` and ``spellings`` know the
handsets that have two valid numbers in E.164, such as Argentina's with and without 9.
"""

import re
import unicodedata
from functools import cache
from itertools import chain

import phonenumbers
from babel import Locale, UnknownLocaleError
from django import forms
from django.conf import settings
from django.utils.translation import get_language, gettext
from phonenumber_field.phonenumber import PhoneNumber
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType, ValidationResult

from .typed import BLANKS

# Longer than any spelling of a number, with a label and invisible characters: nothing is done with
# more than that.
MAX_TYPED_LENGTH = 80
# E.164 allows 15 digits; a dialling prefix and a repeated country code come before them.
MAX_DIGITS = 24
MIN_DIGITS = 3
# In a sentence nobody reads more names of countries than these.
MAX_COUNTRIES_NAMED = 12
# Numbers abroad that a sentence offers, and countries in which we look for them.
MAX_GUESSES = 2
MAX_REGIONS_TRIED = 20

# Types of numbers for which a call or message costs what any other costs. SMS fraud is paid through
# premium, shared-cost and toll-free numbers, pagers and the like.
ORDINARY_TYPES = {
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP,
}
# The region of numbers that belong to no country: satellites and other worldwide services.
NO_COUNTRY = "001"

# Territories that are open where their country is: those that share its calling code, and those
# whose people its owner expects (France's). "-JE" in VERIFY_REGIONS shuts one.
TERRITORIES = {
    "AU": ["CC", "CX"],
    "FI": ["AX"],
    "FR": ["BL", "GF", "GP", "MF", "MQ", "PM", "RE", "YT"],
    "GB": ["GG", "IM", "JE"],
    "IT": ["VA"],
    "MA": ["EH"],
    "NO": ["SJ"],
    "US": ["AS", "GU", "MP", "PR", "VI"],
}

# Handsets with two valid spellings: the other spelling, what it becomes, and for each canonical
# number what other spellings it has. Sources: ITU-T operational bulletins, national numbering
# plans, and the metadata of libphonenumber, which accepts both.
TWINS = [
    # Argentina: mobiles have a 9 after the country code, which people leave out. Fixed lines share
    # the numbers, and no number is given to both.
    (r"\+54(?!9)(\d{10})", r"+549\1", r"\+549(\d{10})", [r"+54\1"]),
    # Mexico dropped the 1 of mobiles in 2020.
    (r"\+521(\d{10})", r"+52\1", r"\+52(\d{10})", [r"+521\1"]),
    # San Marino's fixed lines are reached through Italy, too.
    (r"\+390549(\d{6})", r"+3780549\1", r"\+3780549(\d{6})", [r"+390549\1"]),
    # Palestinian numbers are reached through Israel's code, too.
    (r"\+972([24589]\d{7,8})", r"+970\1", r"\+970([24589]\d{7,8})", [r"+972\1"]),
    # From the Republic of Ireland 048 leads to Northern Ireland.
    (r"\+35348(\d{8})", r"+4428\1", r"\+4428(\d{8})", [r"+35348\1"]),
    # Gabon lengthened its numbers in 2019; the old ones were written with and without their 0.
    (r"\+2410?([256]\d{6})", r"+2416\1", r"\+2416([256]\d{6})", [r"+241\1", r"+2410\1"]),
    (r"\+2410?([47]\d{6})", r"+2417\1", r"\+2417([47]\d{6})", [r"+241\1", r"+2410\1"]),
    (r"\+24101(\d{6})", r"+24111\1", r"\+24111(\d{6})", [r"+24101\1"]),
    # Overseas France has country codes of its own; at home people dial all of it alike.
    (r"\+33((?:590|69[01])\d{6})", r"+590\1", r"\+590((?:590|69[01])\d{6})", [r"+33\1"]),
    (r"\+33((?:594|694)\d{6})", r"+594\1", r"\+594((?:594|694)\d{6})", [r"+33\1"]),
    (r"\+33((?:596|69[67])\d{6})", r"+596\1", r"\+596((?:596|69[67])\d{6})", [r"+33\1"]),
    (
        r"\+33((?:26[239]|639|69[23])\d{6})",
        r"+262\1",
        r"\+262((?:26[239]|639|69[23])\d{6})",
        [r"+33\1"],
    ),
    (r"\+33508(\d{6})", r"+508\1", r"\+508(\d{6})", [r"+33508\1"]),
]

# Digits that people put between country code and number, where they are dialled at home only, or
# were: with the country code before them, and what is left without them.
HABITS = [
    # Argentina: a mobile is 15 and the number at home, and has a 9 abroad. Some write both.
    (r"549(0?\d{2,4}15\d{6,8})", r"54\1"),
    # Mexico: 01, 044 and 045 were dialled before numbers until 2019.
    (r"52(?:01|04[45])(\d{10})", r"52\1"),
]

# What is dialled before a country code, in one country or another; the library knows the one of
# the default region. Shorter ones, such as Japan's 010, begin too many numbers of other countries.
DIALLING_PREFIXES = ["00", "011", "0011", "810"]

# Words beside a number that say nothing of it, in the languages of the site.
LABELS = {
    *["tel", "telephone", "phone", "mobile", "mob", "cell", "cellular", "cellphone", "iphone"],
    *["work", "home", "office", "private", "personal", "business", "main", "number", "my", "no"],
    *["sms", "whatsapp", "voice", "landline", "contact"],
    *["telefon", "handy", "mobil", "mobiltelefon", "rufnummer", "nummer", "nr", "privat", "büro"],
    *["arbeit", "geschäftlich", "festnetz", "zuhause", "telefonnummer", "handynummer"],
    *["téléphone", "portable", "travail", "bureau", "domicile", "maison", "fixe", "numéro"],
    *["teléfono", "telefono", "móvil", "movil", "celular", "trabajo", "casa", "oficina", "número"],
    *["telefone", "telemóvel", "trabalho", "escritório", "residencial", "fixo", "numero"],
    *["هاتف", "جوال", "موبايل", "رقم", "العمل", "المنزل", "محمول"],
}
# Single letters before a colon or dot, as on business cards.
CARD_LABEL = re.compile(r"^\s*[tmpchw]\s*[:.]\s*(?=[+(\d])", re.IGNORECASE)
EXTENSION = re.compile(
    r"(?:;?\s*ext(?:ension|n)?|\bdurchwahl|\bposte|\bramal|[x#])\s*[.:=]?\s*\d{1,8}\s*$",
    re.IGNORECASE,
)
WORD = re.compile(r"[^\W\d_]+")
# Letters that look like a digit, and the digit.
LOOKALIKES = {"o": "0", "l": "1", "i": "1", "о": "0", "ο": "0"}
PLUSES = "＋﹢➕⁺"
# What people write between digits.
SEPARATORS = "-./()[] ,;:_'’\\|*~"
DOTS = "·•∙⋅‧․。．｡"


def clean(text: str) -> str:
    """Return ``text`` in plain characters: without what is not seen, with one kind of each sign.

    Digits of any script become 0 to 9. No digit is added, dropped or moved.
    """
    return " ".join("".join(map(plain_character, text)).split())


def plain_character(character: str) -> str:
    if character in BLANKS or character.isspace():
        return " "
    if character in PLUSES:
        return "+"
    if character in DOTS:
        return "."
    category = unicodedata.category(character)
    # Directions, joiners, variation selectors, accents, keycaps, controls.
    if category in {"Cf", "Cc", "Mn", "Me"}:
        return ""
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if 0xFF01 <= ord(character) <= 0xFF5E:
        return chr(ord(character) - 0xFEE0)
    # Other scripts' commas and slashes, and pictures of telephones.
    is_sign = category[0] == "P" or category in {"Sm", "Sk", "So"}
    return " " if is_sign and not character.isascii() else character


# Regions


def is_open(region: str | None) -> bool:
    """Whether VERIFY_REGIONS opens this region, itself or as a territory of its country."""
    listed = set(settings.VERIFY_REGIONS)
    if region is None or f"-{region}" in listed:
        return False
    return not listed.isdisjoint({"*", region, *countries_of(region)})


def countries_of(region: str) -> list[str]:
    return [country for country, territories in TERRITORIES.items() if region in territories]


def named_regions() -> list[str]:
    """Return the regions that VERIFY_REGIONS names and opens, in its order."""
    return [region for region in settings.VERIFY_REGIONS if region != "*" and is_open(region)]


@cache
def territory_names(language: str):
    """Return the names of all countries by their ISO code, in a language such as ``pt-br``."""
    try:
        return Locale.parse(language, sep="-").territories
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en").territories


def country_name(region: str, language: str | None = None) -> str:
    """Return the name of a country in the reader's language, or its ISO code."""
    return territory_names(language or get_language() or "en").get(region, region)


def with_code(region: str) -> str:
    return f"{country_name(region)} (+{phonenumbers.country_code_for_region(region)})"


def example_of(region: str) -> str:
    """Return a mobile number of a region as people write it, such as +44 7400 123456."""
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    example = example or phonenumbers.example_number(region)
    return phonenumbers.format_number(example, PhoneNumberFormat.INTERNATIONAL)


# One spelling of each number


def parsed(text: str, region: str | None = None):
    """Return the number that the library reads in ``text``, or None."""
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


def e164(number) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def canonical(number) -> PhoneNumber:
    """Return the one spelling of a number under which it votes and is unique.

    ``number`` is E.164 text or a parsed number. A number that has no other spelling, or is not
    valid, is returned as it is.
    """
    text = number if isinstance(number, str) else e164(number)
    return PhoneNumber.from_string(canonical_text(text))


def canonical_text(text: str) -> str:
    for other, becomes, _canonical, _others in TWINS:
        if match := re.fullmatch(other, text):
            twin = match.expand(becomes)
            number = parsed(twin)
            if number and phonenumbers.is_valid_number(number) and e164(number) == twin:
                return twin
    return text


def spellings(number) -> list[str]:
    """Return each spelling in E.164 under which ``number`` may have been kept, canonical first.

    What was stored under an earlier spelling, such as the mark on a ballot, is found by asking for
    all of them.
    """
    # Without parsing: this is asked for at each ballot, and most numbers have one spelling.
    first = canonical_text(number if isinstance(number, str) else e164(number))
    others = [
        match.expand(template)
        for _other, _becomes, pattern, templates in TWINS
        if (match := re.fullmatch(pattern, first))
        for template in templates
    ]
    return [first, *(other for other in others if canonical_text(other) == first)]


def begins_with_code(digits: str) -> bool:
    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return any(int(digits[:length]) in codes for length in (1, 2, 3))


# Reading


def read_number(text: str, region: str | None = None, any_region: bool = False) -> PhoneNumber:
    """Return the number that a person typed, in its canonical spelling.

    ``region`` is the country of a number without country code; by default the one of the settings.
    With ``any_region`` every country is open. Raises ValidationError with a sentence that says what
    to type instead.
    """
    text = clean(text[:MAX_TYPED_LENGTH])
    region = region or region_in(text) or settings.VERIFY_DEFAULT_REGION
    text = without_labels(text)
    has_plus, digits = split(text)
    typed = valid_numbers(as_typed(text, has_plus, digits, region), region)
    if typed and (has_plus or is_any_accepted(typed, any_region)):
        return chosen(typed, any_region)
    # Digits alone are read as a country code and a number only where that country is open.
    is_abroad = has_plus or digits.startswith(tuple(DIALLING_PREFIXES))
    for readings in as_meant(text, has_plus, digits, region):
        valid = valid_numbers(readings, region)
        if valid and (is_any_accepted(valid, any_region) or (is_abroad and not typed)):
            return chosen(valid, any_region)
    if typed:
        return chosen(typed, any_region)
    raise forms.ValidationError(why_invalid(has_plus, digits, region))


def region_in(text: str) -> str | None:
    """Return the country whose ISO code stands beside the number, as in ``(GB) 07400 123456``."""
    return next((word for word in WORD.findall(text) if is_region(word)), None)


def is_region(word: str) -> bool:
    return word in phonenumbers.SUPPORTED_REGIONS


def without_labels(text: str) -> str:
    """Return ``text`` without words beside the number; an error for other letters in it."""
    text = CARD_LABEL.sub("", text)
    before_extension = EXTENSION.sub("", text)
    if before_extension != text and sum(map(str.isdigit, before_extension)) >= 7:
        raise forms.ValidationError(
            gettext("Codes cannot reach an extension. Type a direct number.")
        )
    if not any(map(str.isdigit, text)):
        raise forms.ValidationError(no_number())
    text = WORD.sub(without_label, text)
    words_left = [word for word in WORD.findall(text) if word.isalpha()]
    for word in words_left:
        if wrong := next((letter for letter in word if letter.lower() in LOOKALIKES), None):
            words = gettext("There is the letter %(letter)s in it. Type %(digit)s for the digit.")
            digit = LOOKALIKES[wrong.lower()]
            if all(letter.lower() in LOOKALIKES for letter in word):
                raise forms.ValidationError(words % {"letter": wrong, "digit": digit})
    if words_left:
        words = gettext("There are letters in it: %(letters)s. Type the digits only.")
        raise forms.ValidationError(words % {"letters": " ".join(words_left)})
    return text


def without_label(match) -> str:
    word, text = match[0], match.string
    around = text[: match.start()][-1:] + text[match.end() :][:1]
    is_apart = not any(map(str.isdigit, around))
    return " " if is_apart and (is_region(word) or word.lower() in LABELS) else word


def split(text: str) -> tuple[bool, str]:
    """Return whether a + stands before the country code, and all digits."""
    before, plus, after = text.rpartition("+")
    before, after = bare(before), bare(after)
    if before.strip("0+") and before not in DIALLING_PREFIXES:
        # Something like two numbers, or the country code twice.
        after = before.replace("+", "") + after
    if not after or any(character not in "0123456789" for character in after):
        raise forms.ValidationError(no_number())
    return bool(plus), after


def bare(text: str) -> str:
    return "".join(character for character in text if character not in SEPARATORS)


def as_typed(text: str, has_plus: bool, digits: str, region: str) -> list[str]:
    """Return how the number reads as it stands: what the library is given."""
    typed = [f"+{digits}"] if has_plus else [digits]
    # +44 (0)7400: the zero is dialled at home alone.
    if "(0)" in text:
        _, short = split(text.replace("(0)", "", 1))
        typed.insert(0, f"+{short}" if has_plus else short)
    return typed


def as_meant(text: str, has_plus: bool, digits: str, region: str):
    """Yield other ways to read a number that is not valid as it stands, the likelier ones first."""
    tails = [digits]
    if "(0)" in text:
        tails.append(split(text.replace("(0)", "", 1))[1])
    # +044: with a plus the zero cannot be that of a number at home.
    for prefix in [*DIALLING_PREFIXES, "0"] if has_plus else DIALLING_PREFIXES:
        tails += [tail.removeprefix(prefix) for tail in tails if tail.startswith(prefix)]
    yield [f"+{tail}" for tail in tails if tail[:1] != "0"]
    yield [f"+{rest}" for tail in tails for rest in without_repeated_code(tail)]
    if not has_plus:
        tails.append(f"{phonenumbers.country_code_for_region(region)}{digits}")
    yield [f"+{rest}" for tail in tails for rest in without_habits(tail)]
    if has_plus and digits.startswith("0"):
        # +07400 …: no country code begins with 0, so this is a number of the reader's own country.
        yield [digits]


def without_repeated_code(tail: str):
    """Yield what is left of a country code typed twice: +44 44, +44 0044, +44 +44."""
    for length in 1, 2, 3:
        code, rest = tail[:length], tail[length:]
        rest = rest.removeprefix("00").removeprefix("011")
        is_code = code.isdecimal() and int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE
        if is_code and rest.startswith(code):
            yield rest


def without_habits(tail: str):
    """Yield the number without digits that are not dialled after its country code."""
    for habit, becomes in HABITS:
        if match := re.fullmatch(habit, tail):
            yield match.expand(becomes)


def is_any_accepted(numbers: list, any_region: bool) -> bool:
    return not all(why_refused(number, any_region) for number in numbers)


def valid_numbers(readings: list[str], region: str) -> list:
    """Return the valid numbers among these readings in their canonical spelling, each once."""
    found = {}
    for reading in readings:
        if len(reading) > MAX_DIGITS + 1:
            continue
        number = parsed(reading, region)
        if number is None:
            continue
        twin = parsed(canonical_text(e164(number)))
        if twin and not twin.extension and phonenumbers.is_valid_number(twin):
            found.setdefault(e164(twin), twin)
    return list(found.values())


def chosen(numbers: list, any_region: bool) -> PhoneNumber:
    """Return the one number that is accepted; an error for none, or for more than one."""
    problems = {e164(number): why_refused(number, any_region) for number in numbers}
    accepted = [text for text, problem in problems.items() if not problem]
    if not accepted:
        raise forms.ValidationError(next(iter(problems.values())))
    if len(accepted) > 1:
        spelled = [
            phonenumbers.format_number(parsed(text), PhoneNumberFormat.INTERNATIONAL)
            for text in accepted[:2]
        ]
        words = gettext("This can be %(first)s or %(second)s. Type it again as one of these.")
        raise forms.ValidationError(words % {"first": spelled[0], "second": spelled[1]})
    return PhoneNumber.from_string(accepted[0])


def why_refused(number, any_region: bool) -> str:
    """Return why no code goes to a valid number, or an empty text."""
    kind, region = phonenumbers.number_type(number), phonenumbers.region_code_for_number(number)
    is_refused_voip = kind == PhoneNumberType.VOIP and not settings.VERIFY_ALLOW_VOIP
    if kind not in ORDINARY_TYPES or is_refused_voip or region in {NO_COUNTRY, None}:
        return gettext(
            "This kind of number cannot receive codes. Use an ordinary mobile or landline."
        )
    return "" if any_region or is_open(region) else why_shut(number.country_code, region)


def why_shut(code: int, region: str) -> str:
    open_regions = named_regions()
    sharing = [r for r in open_regions if phonenumbers.country_code_for_region(r) == code]
    if sharing:
        words = gettext(
            "We cannot send codes to numbers of this country (%(country)s) yet, although they "
            "begin with +%(code)s like those of %(countries)s."
        )
        countries = ", ".join(map(country_name, sharing))
        return words % {"country": country_name(region), "code": code, "countries": countries}
    if len(open_regions) > MAX_COUNTRIES_NAMED:
        words = gettext("We cannot send codes to numbers of this country (%(country)s) yet.")
        return words % {"country": country_name(region)}
    words = gettext(
        "We cannot send codes to numbers of this country (%(country)s) yet. "
        "Numbers of these countries can vote: %(countries)s."
    )
    countries = ", ".join(map(with_code, open_regions))
    return words % {"country": country_name(region), "countries": countries}


def no_number() -> str:
    words = gettext(
        "That is not a phone number. Type it with its country code, such as %(example)s."
    )
    return words % {"example": example_of(settings.VERIFY_DEFAULT_REGION)}


def numbers_abroad(digits: str) -> list[str]:
    """Return what numbers of other open countries these digits are, written as people do there."""
    regions = dict.fromkeys(
        chain.from_iterable([region, *TERRITORIES.get(region, [])] for region in named_regions())
    )
    found = {}
    for region in list(regions)[:MAX_REGIONS_TRIED]:
        for number in valid_numbers([digits], region):
            at_home = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
            is_written_so = bare(at_home) == digits
            if is_written_so and not why_refused(number, any_region=False):
                found[e164(number)] = number
    return [
        phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
        for number in found.values()
    ]


def why_invalid(has_plus: bool, digits: str, region: str) -> str:
    """Say what is wrong with a number that cannot be read, with an example of its country."""
    if len(digits) < MIN_DIGITS:
        return no_number()
    if not has_plus and (abroad := numbers_abroad(digits)):
        words = gettext("Begin with + and the country code. Is it %(numbers)s?")
        joined = gettext(" or ").join(abroad[:MAX_GUESSES])
        return words % {"numbers": joined}
    number = parsed(f"+{digits}" if has_plus else digits, region)
    if number is None or len(digits) > MAX_DIGITS:
        if has_plus and not begins_with_code(digits):
            words = gettext(
                "No country has the code with which this number begins. Type it with its country "
                "code, such as %(example)s."
            )
        else:
            words = gettext(
                "This number is too long. Type it with its country code, such as %(example)s."
            )
        return words % {"example": example_of(region)}
    home = phonenumbers.region_code_for_country_code(number.country_code)
    if home == NO_COUNTRY or home not in phonenumbers.SUPPORTED_REGIONS:
        home = region
    sentences = {
        ValidationResult.TOO_SHORT: gettext(
            "This number is too short for its country (%(country)s). Check the digits, and begin "
            "with + and the country code, such as %(example)s."
        ),
        ValidationResult.TOO_LONG: gettext(
            "This number is too long for its country (%(country)s). Check the digits, and begin "
            "with + and the country code, such as %(example)s."
        ),
    }
    unknown = gettext(
        "We know no such number in this country (%(country)s). Check the digits, and begin with + "
        "and the country code, such as %(example)s."
    )
    reason = phonenumbers.is_possible_number_with_reason(number)
    words = sentences.get(reason, unknown)
    return words % {"country": country_name(home), "example": example_of(home)}
