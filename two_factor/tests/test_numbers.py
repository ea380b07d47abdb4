"""How phone numbers are read, which are accepted, and the one spelling of each."""

import random
import unicodedata

import phonenumbers
import pytest
from django.core.exceptions import ValidationError
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from two_factor import numbers
from two_factor.forms import ChangeForm, PhoneForm
from two_factor.numbers import canonical, clean, country_name, is_open, read_number, spellings

from .factories import TwoFactorFactory

# A country, and a mobile of it as people at home write it.
MOBILES = {
    "AD": "312 345",
    "AE": "050 123 4567",
    "AR": "011 15-2345-6789",
    "AT": "0664 123456",
    "AU": "0412 345 678",
    "BE": "0470 12 34 56",
    "BG": "043 012 345",
    "BR": "(11) 96123-4567",
    "CA": "(506) 234-5678",
    "CH": "078 123 45 67",
    "CL": "(2) 2123 4567",
    "CN": "131 2345 6789",
    "CO": "321 1234567",
    "CZ": "601 123 456",
    "DE": "01512 3456789",
    "DK": "34 41 23 45",
    "EE": "5123 4567",
    "EG": "0100 123 4567",
    "ES": "612 34 56 78",
    "FI": "041 2345678",
    "FR": "06 12 34 56 78",
    "GB": "07400 123456",
    "GR": "691 234 5678",
    "HK": "5123 4567",
    "HU": "06 20 123 4567",
    "IE": "085 012 3456",
    "IL": "050-234-5678",
    "IN": "081234 56789",
    "IS": "611 1234",
    "IT": "312 345 6789",
    "JP": "090-1234-5678",
    "KE": "0712 123456",
    "KR": "010-2000-0000",
    "LU": "628 123 456",
    "MT": "9696 1234",
    "MX": "222 123 4567",
    "NG": "0802 123 4567",
    "NL": "06 12345678",
    "NO": "406 12 345",
    "NZ": "021 123 4567",
    "PL": "512 345 678",
    "PT": "912 345 678",
    "RO": "0712 034 567",
    "RU": "8 (912) 345-67-89",
    "SE": "070-123 45 67",
    "SG": "8123 4567",
    "TR": "0501 234 56 78",
    "UA": "050 123 4567",
    "US": "(201) 555-0123",
    "ZA": "071 123 4567",
}


@pytest.fixture
def all_open(settings):
    settings.VERIFY_REGIONS = ["*"]


def error_of(text, **kwargs) -> str:
    with pytest.raises(ValidationError) as refused:
        read_number(text, **kwargs)
    [message] = refused.value.messages
    return message


def arabic(text):
    return "".join(chr(0x0660 + int(c)) if c.isdecimal() else c for c in text)


def full_width(text):
    return "".join(chr(ord(c) + 0xFEE0) if c in "+0123456789()-" else c for c in text)


def devanagari(text):
    return "".join(chr(0x0966 + int(c)) if c.isdecimal() else c for c in text)


def e164_of(region):
    number = phonenumbers.parse(MOBILES[region], region)
    assert phonenumbers.is_valid_number_for_region(number, region), region
    return str(canonical(number))


SPELLED = {
    "E.164": lambda text: text,
    "spaced": lambda text: f" {text[:3]} {text[3:6]}  {text[6:]} ",
    "00": lambda text: f"00{text[1:]}",
    "+00": lambda text: f"+00{text[1:]}",
    "011": lambda text: f"011 {text[1:]}",
    "parentheses": lambda text: f"({text[:3]}) {text[3:]}",
    "dots": lambda text: f"{text[:4]}.{text[4:7]}·{text[7:]}",
    "dashes": lambda text: f"{text[:4]}–{text[4:7]}\u2212{text[7:]}",
    "invisible": lambda text: f"\u202a{text[:5]}\u200b\ufe0f{text[5:]}\u2060\U000e0100\u202c",
    "blank letters": lambda text: f"{text[:5]}\u3164{text[5:]}\u2800",
    "Arabic": arabic,
    "Devanagari": devanagari,
    "full width": full_width,
    "keycaps": lambda text: "".join(c + "\ufe0f\u20e3" if c.isdecimal() else c for c in text),
    "labelled": lambda text: f"Tel.: {text} (work)",
}


@pytest.mark.parametrize("region", MOBILES)
@pytest.mark.parametrize("how", SPELLED)
def test_a_mobile_is_read_however_it_is_written(all_open, region, how):
    number = e164_of(region)
    assert read_number(SPELLED[how](number)) == number


@pytest.mark.parametrize("how", ["spaced", "Arabic", "full width", "invisible"])
@pytest.mark.parametrize("region", MOBILES)
def test_a_mobile_is_read_as_people_at_home_write_it(settings, region, how):
    settings.VERIFY_REGIONS, settings.VERIFY_DEFAULT_REGION = [region], region
    text = MOBILES[region] if how == "spaced" else SPELLED[how](MOBILES[region])
    assert read_number(text) == e164_of(region)


@pytest.mark.parametrize("region", MOBILES)
def test_bare_digits_may_begin_with_the_code_of_an_open_country(settings, region):
    settings.VERIFY_REGIONS, settings.VERIFY_DEFAULT_REGION = [region, "US"], "US"
    assert read_number(e164_of(region)[1:]) == e164_of(region)


REFUSED_KINDS = {
    "premium": PhoneNumberType.PREMIUM_RATE,
    "toll-free": PhoneNumberType.TOLL_FREE,
    "shared cost": PhoneNumberType.SHARED_COST,
    "pager": PhoneNumberType.PAGER,
    "UAN": PhoneNumberType.UAN,
    "personal": PhoneNumberType.PERSONAL_NUMBER,
}


@pytest.mark.parametrize("kind", REFUSED_KINDS)
@pytest.mark.parametrize("region", MOBILES)
def test_a_number_that_costs_more_is_refused_everywhere(all_open, region, kind):
    example = phonenumbers.example_number_for_type(region, REFUSED_KINDS[kind])
    if example is None:
        return
    text = phonenumbers.format_number(example, PhoneNumberFormat.E164)
    for number in [text, f"00{text[1:]}", f"+{text[1:]}"]:
        with pytest.raises(ValidationError):
            read_number(number)
        with pytest.raises(ValidationError):
            read_number(number, any_region=True)


@pytest.mark.parametrize("text", ["+881612345678", "+870773111632", "+80012345678", "+97912345678"])
def test_satellites_and_worldwide_services_are_refused(all_open, text):
    for any_region in [False, True]:
        with pytest.raises(ValidationError):
            read_number(text, any_region=any_region)


@pytest.mark.parametrize("region", MOBILES)
def test_digits_too_many_or_too_few_never_lead_abroad(settings, region):
    settings.VERIFY_REGIONS, settings.VERIFY_DEFAULT_REGION = ["*"], region
    number = e164_of(region)
    code = f"+{phonenumbers.country_code_for_region(region)}"
    for text in [number[:-3], number + "0000"]:
        try:
            read = str(read_number(text))
        except ValidationError:
            continue
        assert read.startswith(code), text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("+44 74oo 1234oo", "There is the letter o in it. Type 0 for the digit."),
        ("07400 12345O", "There is the letter O in it. Type 0 for the digit."),
        ("+1 202 555 0l23", "There is the letter l in it. Type 1 for the digit."),
        ("+1 2O2 555 OI23", "There is the letter O in it. Type 0 for the digit."),
        ("I 202 555 0123", "There is the letter I in it. Type 1 for the digit."),
        ("+1 202 555 \u043e123", "There is the letter \u043e in it. Type 0 for the digit."),
        ("+1 800 FLOWERS", "There are letters in it: FLOWERS. Type the digits only."),
        ("+1 202 555 CALL", "There are letters in it: CALL. Type the digits only."),
        ("1-202-KL5-0123", "There are letters in it: KL. Type the digits only."),
        ("+1 202 555 0123 or so", "There are letters in it: or so. Type the digits only."),
        ("+1 2\u00df2 555 0123", "There are letters in it: \u00df. Type the digits only."),
    ],
)
def test_letters_are_named_and_never_keypad_digits(text, sentence):
    assert error_of(text) == sentence


@pytest.mark.parametrize(
    "text",
    [
        "tel:+447400123456",
        "Tel. 0044 7400 123456",
        "Phone: +44 7400 123456",
        "M: +44 7400 123456",
        "(work) +44 7400 123456",
        "+44 7400 123456 (work)",
        "+44 7400 123456 mobile",
        "my mobile: +44 7400 123456",
        "Handy +44 7400 123456",
        "móvil: +44 7400 123456",
        "هاتف: +44 7400 123456",
        "\U0001f4de +44 7400 123456",
        "GB +44 7400 123456",
        "+44 7400 123456 (GB)",
        "(GB) 07400 123456",
        "GB: 07400 123456",
    ],
)
def test_labels_may_stay(text):
    assert read_number(text) == "+447400123456"


@pytest.mark.parametrize(
    "text",
    [
        "202-555-0123 ext. 5",
        "202-555-0123x5",
        "+12025550123;ext=5",
        "+1 202 555 0123 #55",
        "+1 202 555 0123 extn 5",
        "+49 30 901820 Durchwahl 12",
        "202 555 0123 X12",
    ],
)
def test_an_extension_is_refused_with_a_sentence(text):
    assert error_of(text) == "Codes cannot reach an extension. Type a direct number."


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+52 01 222 123 4567", "+522221234567"),
        ("+52 044 222 123 4567", "+522221234567"),
        ("0052 045 222 123 4567", "+522221234567"),
        ("+54 9 11 15 2345 6789", "+5491123456789"),
        ("+54 9 011 15 2345-6789", "+5491123456789"),
        ("+54 9 341 15 512 3456", "+5493415123456"),
        # Mexico's 1 of before 2020.
        ("+52 1 222 123 4567", "+522221234567"),
        ("52 1 222 123 4567", "+522221234567"),
        ("0052 1 222 123 4567", "+522221234567"),
        # No + at all.
        ("44 7400 123456", "+447400123456"),
        ("353 85 012 3456", "+353850123456"),
        # The country code twice.
        ("+44 44 7400 123456", "+447400123456"),
        ("+44 0044 7400 123456", "+447400123456"),
        ("+44 +44 7400 123456", "+447400123456"),
        ("+1 1 202 555 0123", "+12025550123"),
        # A dialling prefix after +, or of another country.
        ("+0044 7400 123456", "+447400123456"),
        ("+011 44 7400 123456", "+447400123456"),
        ("0011 44 7400 123456", "+447400123456"),
        ("810 44 7400 123456", "+447400123456"),
        ("8~10 44 7400 123456", "+447400123456"),
        ("00+44 7400 123456", "+447400123456"),
        ("+044 7400 123456", "+447400123456"),
        # The zero of home.
        ("+44 (0) 7400 123456", "+447400123456"),
        ("+44 (0)7400 123456", "+447400123456"),
        ("0044 (0)7400 123456", "+447400123456"),
        ("+33 (0)6 12 34 56 78", "+33612345678"),
        # Overseas France.
        ("+33 690 00 12 34", "+590690001234"),
        ("+33 6 94 20 12 34", "+594694201234"),
        ("+33 (0)6 96 20 12 34", "+596696201234"),
        ("+33 6 92 12 34 56", "+262692123456"),
        ("0033 639 01 23 45", "+262639012345"),
        # What no keyboard shows.
        ("+44\u200e7400\u200f123456", "+447400123456"),
        ("+44\u20447400\u2044123456", "+447400123456"),
        ("\u2795447400123456", "+447400123456"),
        ("++44 7400 123456", "+447400123456"),
        ("+1,202,555,0123", "+12025550123"),
        ("+(44) 7400-123-456", "+447400123456"),
    ],
)
def test_a_number_is_read_as_it_was_meant(settings, text, number):
    settings.VERIFY_REGIONS = ["US", "CA", "GB", "IE", "MX", "FR", "AR"]
    assert read_number(text) == number


@pytest.mark.parametrize(
    ("region", "text", "number"),
    [
        ("FR", "0690 00 12 34", "+590690001234"),
        ("FR", "06 92 12 34 56", "+262692123456"),
        ("FR", "06 12 34 56 78", "+33612345678"),
        ("FR", "00 33 6 12 34 56 78", "+33612345678"),
        ("IE", "048 9066 1234", "+442890661234"),
        ("GB", "+07400 123456", "+447400123456"),
        ("JP", "010 44 7400 123456", "+447400123456"),
        ("IT", "06 6982 1234", "+390669821234"),
    ],
)
def test_a_number_of_home_is_read_there(settings, region, text, number):
    settings.VERIFY_REGIONS, settings.VERIFY_DEFAULT_REGION = [region, "GB"], region
    assert read_number(text) == number


def test_what_is_valid_as_it_stands_is_never_read_otherwise(settings):
    settings.VERIFY_REGIONS = ["US", "NO"]
    # Also +47 92 34 56 78.
    assert read_number("479 234 5678") == "+14792345678"
    # Valid in Egypt, which is shut; not 202 555 0123 with a plus before it.
    assert "(Egypt)" in error_of("+20 2 55501234")


def test_where_two_readings_are_valid_it_asks(settings):
    settings.VERIFY_REGIONS = ["US", "EG"]
    readings = numbers.valid_numbers(["+12025550123", "+20225550123"], "US")
    with pytest.raises(ValidationError) as asked:
        numbers.chosen(readings, any_region=False)
    [sentence] = asked.value.messages
    both = "+1 202-555-0123 or +20 2 25550123"
    assert sentence == f"This can be {both}. Type it again as one of these."


def test_of_two_readings_the_one_of_an_open_country_is_taken(settings):
    settings.VERIFY_REGIONS = ["US", "IS"]
    # Also a number of Canada, +1 354 611 1234.
    assert read_number("354 611 1234") == "+3546111234"
    settings.VERIFY_REGIONS = ["US"]
    assert "(Canada)" in error_of("354 611 1234")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("07400 123456", "Begin with + and the country code. Is it +44 7400 123456?"),
        ("085 012 3456", "Begin with + and the country code. Is it +353 85 012 3456?"),
        ("+44 74", "This number is too short for its country (United Kingdom)."),
        ("+44 7400 1234567", "This number is too long for its country (United Kingdom)."),
        ("+44 0000 000000", "We know no such number in this country (United Kingdom)."),
        ("202 555 012", "This number is too short for its country (United States)."),
        ("202 555 01234", "This number is too long for its country (United States)."),
        ("+999 123456", "No country has the code with which this number begins."),
        ("+999 " + "9" * 40, "No country has the code with which this number begins."),
        ("+44 7400 123456 / +44 7400 123457", "This number is too long."),
        ("+44 7400 1234567890123", "This number is too long"),
        ("9" * 40, "This number is too long."),
        ("12", "That is not a phone number."),
        ("+", "That is not a phone number."),
        ("a@b.example", "That is not a phone number."),
        ("<1234567>", "That is not a phone number."),
    ],
)
def test_it_says_what_is_missing(text, sentence):
    error = error_of(text)
    assert error.startswith(sentence)
    assert "+" in error


def test_the_example_is_of_the_numbers_country():
    assert error_of("+44 7400 1").endswith("such as +44 7400 123456.")
    assert error_of("+33 6 1").endswith("such as +33 6 12 34 56 78.")


# Countries


@pytest.mark.parametrize(
    ("country", "territory", "text"),
    [
        ("GB", "JE", "+44 7797 712345"),
        ("GB", "GG", "+44 7781 123456"),
        ("GB", "IM", "+44 7624 301234"),
        ("US", "PR", "+1 787 234 5678"),
        ("US", "GU", "+1 671 300 1234"),
        ("US", "VI", "+1 340 642 1234"),
        ("US", "AS", "+1 684 733 1234"),
        ("US", "MP", "+1 670 234 5678"),
        ("FR", "GP", "+590 690 00 12 34"),
        ("FR", "MQ", "+596 696 20 12 34"),
        ("FR", "GF", "+594 694 20 12 34"),
        ("FR", "RE", "+262 692 12 34 56"),
        ("FR", "YT", "+262 639 01 23 45"),
        ("FR", "PM", "+508 55 12 34"),
        ("AU", "CX", "+61 8 9164 1234"),
        ("AU", "CC", "+61 8 9162 1234"),
        ("NO", "SJ", "+47 79 12 34 56"),
        ("FI", "AX", "+358 18 12345"),
        ("IT", "VA", "+39 06 698 12345"),
        ("MA", "EH", "+212 528 812345"),
    ],
)
def test_a_country_brings_its_territories_and_each_can_be_shut(settings, country, territory, text):
    settings.VERIFY_REGIONS = [country]
    number = read_number(text)
    if phonenumbers.region_code_for_number(number) == territory:
        settings.VERIFY_REGIONS = [country, f"-{territory}"]
        assert country_name(territory) in error_of(text)
        settings.VERIFY_REGIONS = ["*", f"-{territory}"]
        assert country_name(territory) in error_of(text)
        settings.VERIFY_REGIONS = [territory]
        assert read_number(text) == number
        assert not is_open(country)


@pytest.mark.parametrize("text", ["+1 876 210 1234", "+1 809 234 5678", "+1 242 359 1234"])
def test_a_shared_code_opens_no_other_country(text):
    sentence = error_of(text)
    assert "although they begin with +1 like those of United States, Canada" in sentence


@pytest.mark.parametrize(
    "text", ["+298 211234", "+299 22 12 34", "+599 9 518 1234", "+297 560 1234"]
)
def test_a_territory_with_a_code_of_its_own_is_opened_by_itself(settings, text):
    settings.VERIFY_REGIONS = ["DK", "NL"]
    assert "We cannot send codes" in error_of(text)


def test_countries_are_named_in_the_readers_language(settings):
    settings.VERIFY_REGIONS = ["US", "GB"]
    names = {"en": "Germany", "de": "Deutschland", "fr": "Allemagne", "es": "Alemania"}
    names |= {"pt-br": "Alemanha", "ar": "ألمانيا"}
    for language, name in names.items():
        with translation.override(language):
            assert country_name("DE") == name
            assert name in error_of("+49 1512 3456789")
    with translation.override("de"):
        assert "Vereinigtes Königreich (+44)" in error_of("+49 1512 3456789")
        assert "Vereinigte Staaten" in PhoneForm().fields["number"].help_text


@pytest.mark.parametrize("language", ["xx", "", "\0", "en-xx", "zz-zz"])
def test_a_language_that_is_not_known_gets_english_names(language):
    assert country_name("DE", language) == "Germany"
    assert country_name("QQ", language) == "QQ"


def test_a_long_list_of_countries_is_left_out(settings):
    settings.VERIFY_REGIONS = list(MOBILES)
    sentence = error_of("+81 90 1234 567890")
    assert len(sentence) < 200
    assert len(error_of("+93 70 123 4567")) < 200


def test_staff_may_have_a_number_of_any_country(settings):
    settings.VERIFY_REGIONS = ["US"]
    form = PhoneForm({"number": "+49 1512 3456789"}, any_region=True)
    assert form.is_valid(), form.errors
    assert not PhoneForm({"number": "+49 1512 3456789"}).is_valid()
    assert not PhoneForm({"number": "+49 900 1234567"}, any_region=True).is_valid()


# Two spellings of one handset

TWINS = [
    ("+541123456789", "+5491123456789"),
    ("+543434561234", "+5493434561234"),
    ("+5212221234567", "+522221234567"),
    ("+390549886377", "+3780549886377"),
    ("+972599123456", "+970599123456"),
    ("+972569123456", "+970569123456"),
    ("+97222234567", "+97022234567"),
    ("+3534890661234", "+442890661234"),
    ("+24106031234", "+24166031234"),
    ("+2416031234", "+24166031234"),
    ("+33690001234", "+590690001234"),
    ("+33692123456", "+262692123456"),
]


@pytest.mark.parametrize(("other", "number"), TWINS)
def test_two_spellings_of_a_handset_are_one_number(all_open, other, number):
    assert canonical(other) == canonical(number) == number
    assert read_number(other) == read_number(number) == number
    assert spellings(other) == spellings(number)
    assert spellings(number)[0] == number
    assert other in spellings(number)


@pytest.mark.parametrize(
    "number",
    [
        "+12025550123",
        "+447400123456",
        "+97226712345",
        "+972502345678",
        "+33612345678",
        "+393123456789",
        "+37744123456",
        "+353850123456",
        "+390612345678",
    ],
)
def test_other_numbers_have_one_spelling(number):
    assert canonical(number) == number
    assert spellings(number) == [number]


def test_ones_own_number_in_another_spelling_is_no_new_number(db, settings):
    settings.VERIFY_REGIONS = ["AR"]
    user = TwoFactorFactory(number="+541123456789").user
    user.set_password("correct horse")
    form = ChangeForm(user, {"password": "correct horse", "number": "+54 9 11 2345 6789"})
    assert form.errors == {"number": ["That is your number already."]}


# Whatever is typed

TYPED = st.one_of(
    st.text(max_size=120),
    st.text("+0123456789 ()-./xolI٠١۲３\u200e\u3164", max_size=60),
    st.sampled_from(list(SPELLED.values())).flatmap(
        lambda spell: st.sampled_from(list(MOBILES)).map(lambda region: spell(e164_of(region)))
    ),
)


@given(text=TYPED, any_region=st.booleans(), region=st.sampled_from(["US", "GB", "IT", "AR"]))
def test_whatever_is_typed_is_a_number_or_a_sentence(text, any_region, region):
    try:
        number = read_number(text, region, any_region)
    except ValidationError as error:
        [sentence] = error.messages
        assert sentence
        assert len(sentence) < 500
    else:
        assert phonenumbers.is_valid_number(number)
        assert canonical(number) == number
        assert read_number(str(number), any_region=True) == number
        # The subscriber's digits are those that were typed: none is changed or moved.
        digits = [
            str(unicodedata.decimal(c)) for c in text if unicodedata.decimal(c, None) is not None
        ]
        assert str(number)[-6:] in "".join(digits)


@given(text=st.text(max_size=200))
def test_cleaning_twice_changes_nothing_more_and_keeps_each_digit(text):
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    digits = [unicodedata.decimal(c) for c in text if unicodedata.decimal(c, None) is not None]
    assert [int(c) for c in cleaned if c in "0123456789"] == digits


def random_numbers(count=400):
    """Return valid and nearly valid numbers of all countries, the same in each run."""
    chance = random.Random(1)  # noqa: S311
    for _ in range(count):
        region = chance.choice(sorted(phonenumbers.SUPPORTED_REGIONS))
        example = phonenumbers.example_number(region)
        text = phonenumbers.format_number(example, PhoneNumberFormat.E164)
        yield text[:-4] + f"{chance.randrange(10_000):04}"


def test_the_spelling_of_a_number_is_final():
    for text in [*random_numbers(), *(number for pair in TWINS for number in pair)]:
        once = canonical(text)
        assert canonical(once) == once
        for spelling in spellings(text):
            assert canonical(spelling) == once
        assert len(spellings(text)) <= 4


def test_endless_input_is_refused_before_any_work():
    form = PhoneForm({"number": "+44 " * 100_000})
    assert form.errors == {"number": ["That is too long for a phone number."]}
    # And what is called without a form reads no more than that.
    assert error_of("9" * 10_000_000).startswith("This number is too long")


@pytest.mark.parametrize(
    ("region", "text", "number"),
    [
        ("MX", "044 222 123 4567", "+522221234567"),
        ("MX", "01 222 123 4567", "+522221234567"),
        ("AR", "9 11 15 2345 6789", "+5491123456789"),
    ],
)
def test_at_home_digits_of_a_habit_may_stand_before_a_number(settings, region, text, number):
    settings.VERIFY_REGIONS, settings.VERIFY_DEFAULT_REGION = [region], region
    assert read_number(text) == number
