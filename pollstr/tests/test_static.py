import base64
import hashlib
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django_bootstrap5.core import BOOTSTRAP5_DEFAULTS


@pytest.mark.parametrize(
    ("path", "url_setting"),
    [
        ("vendor/bootstrap/css/bootstrap.min.css", "css_url"),
        ("vendor/bootstrap/js/bootstrap.bundle.min.js", "javascript_url"),
    ],
)
def test_bootstrap_is_the_file_that_its_makers_published(path, url_setting):
    served = Path(finders.find(path)).read_bytes()
    digest = base64.b64encode(hashlib.sha384(served).digest()).decode()
    assert BOOTSTRAP5_DEFAULTS[url_setting]["integrity"] == f"sha384-{digest}"
