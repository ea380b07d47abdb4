"""The WSGI application that gunicorn serves."""

import os
import re

from django.core.wsgi import get_wsgi_application
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from .checks import refuse_errors, warn_of_lost_data

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pollstr.settings")

# Seconds after which PostgreSQL cancels a query of a page. Commands, such as migrate, are not
# limited.
MAX_QUERY_SECONDS = 10

django_application = get_wsgi_application()
refuse_errors()
warn_of_lost_data()


@receiver(connection_created)
def limit_queries(sender, connection, **kwargs):
    # Behind PgBouncer the limit would stay on a connection that a command gets next.
    is_pooled = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    if connection.vendor == "postgresql" and not is_pooled:
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = '{MAX_QUERY_SECONDS}s'")


def application(environ, start_response):
    """Serve a request as UTF-8, which all our pages are, whatever charset it claims.

    Django decodes by the claim before any middleware runs, and fails on charsets such as "hex".
    """
    content_type = environ.get("CONTENT_TYPE", "")
    environ["CONTENT_TYPE"] = re.sub(r";\s*charset=[^;]*", "", content_type, flags=re.IGNORECASE)
    return django_application(environ, start_response)
