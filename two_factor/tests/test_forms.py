import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from two_factor.forms import CodeForm, PhoneForm

NO_NUMBER = "That is not a phone number. Type it with its country code, such as +1 201-555-0123."
WRONG_KIND = "This kind of number cannot receive codes. Use an ordinary mobile or landline."


def number_of(text) -> str:
    form = PhoneForm({"number": text})
    assert form.is_valid(), form.errors
    return str(form.cleaned_data["number"])


def number_error(text) -> str:
    [error] = PhoneForm({"number": text}).errors["number"]
    return error


def code_error(text) -> str:
    [error] = CodeForm({"code": text}).errors["code"]
    return error


def example(region, kind) -> str:
    number = phonenumbers.example_number_for_type(region, kind)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


@pytest.mark.parametrize(
    "text",
    [
        "+12025550123",
        "12025550123",
        "2025550123",
        "+1 202 555 0123",
        "001 202 555 0123",
        "011 1 202 555 0123",
        "1-202-555-0123",
        "(202) 555-0123",
        "202.555.0123",
        "202/555/0123",
        "+1 (202) 555–0123",
        "tel:+1-202-555-0123",
        "  +1 202 555 0123\t",
        "+1\u00a0202\u00a0555\u00a00123",
        "+1\u2009202\u2009555\u20090123",
        "\u202a+12025550123\u202c",
        "+1\u200b2025550123",
        "＋１２０２５５５０１２３",
        "００１２０２５５５０１２３",
        "٢٠٢٥٥٥٠١٢٣",
        "+١٢٠٢٥٥٥٠١٢٣",
    ],
)
def test_all_spellings_of_a_number_are_one_number(text):
    assert number_of(text) == "+12025550123"


@pytest.mark.parametrize(
    "text",
    ["+44 7400 123456", "0044 7400 123456", "011 44 7400 123456", "+44 (0)7400 123456"],
)
def test_a_number_abroad_is_taken_with_its_country_code(text):
    assert number_of(text) == "+447400123456"


@pytest.mark.parametrize(
    ("region", "text"),
    [
        ("GB", "07400 123456"),
        ("GB", "+447400123456"),
        ("AU", "0011 44 7400 123456"),
        ("AU", "0044 7400 123456"),
    ],
)
def test_a_number_without_country_code_is_of_the_default_region(settings, region, text):
    settings.VERIFY_DEFAULT_REGION = region
    assert number_of(text) == "+447400123456"


@pytest.mark.parametrize(
    "text", ["junk", "+", "00", "a@b.example", "<script>", "²²²", "\U0001f4de"]
)
def test_what_is_no_number_is_refused(text):
    assert number_error(text) == NO_NUMBER


@pytest.mark.parametrize("text", ["", "   ", "\u00a0\t"])
def test_an_empty_number_is_asked_for(text):
    assert number_error(text) == "Type your phone number."


def test_a_missing_number_is_asked_for():
    assert PhoneForm({}).errors["number"] == ["Type your phone number."]


def test_an_endless_number_is_refused():
    assert number_error("2" * 10_000) == "That is too long for a phone number."


def test_a_nul_is_refused():
    assert number_error("+1202555\x000123") == "Null characters are not allowed."


@pytest.mark.parametrize("text", ["202-555-0123 ext. 5", "202-555-0123x5", "+12025550123;ext=5"])
def test_an_extension_is_refused(text):
    error = "Codes cannot reach an extension. Type a direct number."
    assert number_error(text) == error


def test_a_country_not_on_the_list_is_refused_and_those_on_it_named(settings):
    settings.VERIFY_REGIONS = ["US", "GB"]
    assert number_error("+33 6 12 34 56 78") == (
        "We cannot send codes to numbers of this country (France) yet. "
        "Numbers of these countries can vote: United States (+1), United Kingdom (+44)."
    )


@pytest.mark.parametrize("text", ["+1 876 210 1234", "+1 242 359 1234"])
def test_a_shared_country_code_opens_no_other_country(text):
    assert number_error(text).startswith("We cannot send codes to numbers of this country")


def test_a_star_opens_all_countries(settings):
    settings.VERIFY_REGIONS = ["*"]
    assert number_of("+33 6 12 34 56 78") == "+33612345678"


@pytest.mark.parametrize("regions", [["US", "GB", "AU", "IE", "NZ", "CA"], ["*"]])
@pytest.mark.parametrize(
    ("region", "kind"),
    [
        ("US", PhoneNumberType.PREMIUM_RATE),
        ("US", PhoneNumberType.TOLL_FREE),
        ("US", PhoneNumberType.PERSONAL_NUMBER),
        ("GB", PhoneNumberType.PREMIUM_RATE),
        ("GB", PhoneNumberType.TOLL_FREE),
        ("GB", PhoneNumberType.UAN),
        ("GB", PhoneNumberType.PAGER),
        ("GB", PhoneNumberType.PERSONAL_NUMBER),
        ("AU", PhoneNumberType.SHARED_COST),
        ("AU", PhoneNumberType.PAGER),
        ("IE", PhoneNumberType.SHARED_COST),
        ("IE", PhoneNumberType.VOICEMAIL),
    ],
)
def test_a_number_of_no_ordinary_kind_is_refused(settings, regions, region, kind):
    settings.VERIFY_REGIONS = regions
    assert number_error(example(region, kind)) == WRONG_KIND


def test_an_owner_may_refuse_numbers_of_the_internet(settings):
    voip = example("GB", PhoneNumberType.VOIP)
    assert PhoneForm({"number": voip}).is_valid()
    settings.VERIFY_ALLOW_VOIP = False
    assert number_error(voip) == WRONG_KIND


@pytest.mark.parametrize("regions", [["US"], ["*"]])
@pytest.mark.parametrize(
    "text", ["+881612345678", "+870773111632", "+80012345678", "+88310012345678"]
)
def test_a_number_of_no_country_is_refused(settings, regions, text):
    settings.VERIFY_REGIONS = regions
    assert number_error(text) == WRONG_KIND


@pytest.mark.parametrize(
    ("region", "kind"),
    [
        ("GB", PhoneNumberType.MOBILE),
        ("GB", PhoneNumberType.FIXED_LINE),
        ("GB", PhoneNumberType.VOIP),
        ("US", PhoneNumberType.FIXED_LINE_OR_MOBILE),
    ],
)
def test_a_number_of_an_ordinary_kind_is_accepted(region, kind):
    assert number_of(example(region, kind)) == example(region, kind)


@pytest.mark.parametrize(
    "text",
    [
        "123456",
        "123 456",
        "123-456",
        "123–456",
        "123\u2212456",
        "123\u00a0456",
        " 1 2 3 4 5 6\n",
        "123.456",
        "\u200b123\u200d456\u200f",
        "\ufeff123\u2060456",
        "\u2066123456\u2069",
        "\u202a123456\u202c",
        "١٢٣٤٥٦",
        "۱۲۳۴۵۶",
        "१२३४५६",
        "１２３４５６",
    ],
)
def test_all_spellings_of_a_code_are_one_code(text):
    form = CodeForm({"code": text})
    assert form.is_valid(), form.errors
    assert form.cleaned_data["code"] == "123456"


@pytest.mark.parametrize(
    ("text", "typed"), [("1", 1), ("12345", 5), ("12 34-5", 5), ("1234567", 7)]
)
def test_a_code_of_another_length_is_refused_and_counted(text, typed):
    assert code_error(text) == f"The code has 6 digits; you typed {typed}."


@pytest.mark.parametrize("text", ["abcdef", "12345O", "²²²²²²", "①②③④⑤⑥", "---", "½12345"])
def test_a_code_of_anything_but_digits_is_refused(text):
    assert code_error(text) == "The code is made of 6 digits only."


MESSAGES = [
    "Pollstr code: {code}. Valid for 3 minutes.",
    "{code} is your Pollstr code.\n\n@pollstr.org #{code}",
    "<#> Your code is {code}\nFA+9qCX9VSu",
    "验证码{code}，3分钟内有效",
    "رمزك هو {code} صالح لمدة 3 دقائق",
    "Votre code: {code}",
    "code:{code}",
    "\u2068{code}\u2069 is the code; it ends in 180 seconds",
]


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize(
    "code", ["482913", "482 913", "482\u3164913", "482-913", "٤٨٢٩١٣", "４８２９１３"]
)
def test_the_code_in_a_pasted_message_is_found(message, code):
    form = CodeForm({"code": message.format(code=code)})
    assert form.is_valid(), form.errors
    assert form.cleaned_data["code"] == "482913"


@pytest.mark.parametrize("text", ["Codes 482913 and 111111", "old 111111, new 482913, old 111111"])
def test_of_two_codes_none_is_guessed(text):
    assert code_error(text) == "There is more than one code in this. Type the 6 digits."


@pytest.mark.parametrize(
    "text", ["Call +44 7400 1234567 now", "code 4829135", "in 3 minutes", "12345 or 67", "x1234567"]
)
def test_a_message_without_a_code_is_refused(text):
    assert code_error(text) == "The code is made of 6 digits only."


def test_a_message_may_have_200_characters_and_the_browser_cuts_none():
    text = "Pollstr code: 482913. ".ljust(200, "x")
    assert CodeForm({"code": text}).is_valid()
    assert code_error(text + "x") == "The code has 6 digits."
    assert "maxlength" not in str(CodeForm()["code"])


LETTERS = st.text(st.characters(categories=["L", "P", "Zs", "Cf"]), max_size=60)


@given(before=LETTERS, after=LETTERS, code=st.text("0123456789", min_size=6, max_size=6))
def test_one_run_of_six_digits_in_any_text_is_the_code(before, after, code):
    form = CodeForm({"code": f"{before}{code}{after}"})
    assert form.is_valid(), form.errors
    assert form.cleaned_data["code"] == code


@given(text=st.text(max_size=200))
def test_any_text_is_a_code_or_refused_with_a_sentence(text):
    form = CodeForm({"code": text})
    if form.is_valid():
        assert re.fullmatch("[0-9]{6}", form.cleaned_data["code"])
    else:
        assert form.errors["code"]


@pytest.mark.parametrize("text", ["", "  \t"])
def test_an_empty_code_is_asked_for(text):
    assert code_error(text) == "Type the code from your phone."


def test_an_endless_code_is_refused():
    assert code_error("1" * 10_000) == "The code has 6 digits."


def test_a_nul_in_a_code_is_refused():
    assert code_error("123\x00456") == "Null characters are not allowed."
