"""The WSGI application that gunicorn serves."""

import os
import re

from django.core.wsgi import get_wsgi_application

from .checks import refuse_errors

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pollstr.settings")

django_application = get_wsgi_application()
refuse_errors()


def application(environ, start_response):
    """Serve a request as UTF-8, which all our pages are, whatever charset it claims.

    Django decodes by the claim before any middleware runs, and fails on charsets such as "hex".
    """
    content_type = environ.get("CONTENT_TYPE", "")
    environ["CONTENT_TYPE"] = re.sub(r";\s*charset=[^;]*", "", content_type, flags=re.IGNORECASE)
    return django_application(environ, start_response)
