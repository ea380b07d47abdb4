"""Pages for answers that Django gives without one, or not in the site's look."""

from django.conf import settings
from django.shortcuts import render


def error_pages(get_response):
    """Give an empty 405 a page with a sentence and a way on, and a 404 the same page everywhere.

    With DEBUG Django would list the URL patterns instead, to people who try the site.
    """

    def middleware(request):
        response = get_response(request)
        if response.status_code == 405 and not response.content:
            page = render(request, "405.html", status=405)
            page["Allow"] = response["Allow"]
            return page
        if response.status_code == 404 and settings.DEBUG:
            return render(request, "404.html", status=404)
        return response

    return middleware
