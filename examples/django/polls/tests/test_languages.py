"""The translations are complete, and compiled."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import pytest
from django.conf import settings

FILES = sorted((settings.BASE_DIR / "locale").glob("*/LC_MESSAGES/django.po"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parts[-3])
def test_nothing_is_left_untranslated(file: Path) -> None:
    with file.with_suffix(".mo").open("rb") as compiled:
        known = gettext.GNUTranslations(compiled)
    texts = re.findall(r'^msgid "(.+)"$', file.read_text(), re.MULTILINE)
    assert len(texts) > 90
    assert [text for text in texts if not known._catalog.keys() & {text, (text, 0)}] == []


def test_all_languages_have_a_file() -> None:
    assert {code for code, _ in settings.LANGUAGES} == {"en", *(file.parts[-3] for file in FILES)}
