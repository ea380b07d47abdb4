"""The files in locale/, read without gettext."""

import ast
import re
from dataclasses import dataclass, field

from django.conf import settings
from django.utils.translation import to_locale

LOCALE = settings.BASE_DIR / "locale"
LOCALES = [to_locale(code) for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
WORD = re.compile(r'^(?:(msgctxt|msgid|msgid_plural|msgstr)(?:\[(\d+)\])? )?(".*")$')
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}|%%")


@dataclass
class Message:
    msgctxt: str = ""
    msgid: str = ""
    msgid_plural: str = ""
    msgstr: dict[int, str] = field(default_factory=dict)
    is_fuzzy: bool = False

    @property
    def key(self):
        return self.msgctxt, self.msgid, self.msgid_plural

    @property
    def name(self):
        """As gettext looks it up."""
        return f"{self.msgctxt}\x04{self.msgid}" if self.msgctxt else self.msgid


def path_of(locale, root=LOCALE, suffix="po"):
    return root / locale / "LC_MESSAGES" / f"django.{suffix}"


def messages(path) -> list[Message]:
    """Return what a catalog translates, without its header."""
    found = [message_of(block) for block in path.read_text().split("\n\n")]
    return [message for message in found if message.msgid]


def message_of(block) -> Message:
    message, name, number = Message(), "", 0
    for line in block.splitlines():
        if line.startswith("#,") and "fuzzy" in line:
            message.is_fuzzy = True
        if not (match := WORD.match(line)):
            continue
        name, number = (match[1], int(match[2] or 0)) if match[1] else (name, number)
        text = ast.literal_eval(match[3])
        if name == "msgstr":
            message.msgstr[number] = message.msgstr.get(number, "") + text
        else:
            setattr(message, name, getattr(message, name) + text)
    return message


def placeholders(text) -> set[str]:
    return set(PLACEHOLDER.findall(text))
