"""Links that work outside the site: in mails, QR codes and previews."""


def absolute_url(request, path: str) -> str:
    return request.build_absolute_uri(path)
