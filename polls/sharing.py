"""What is sent around of a poll: its public page, its QR code, a sheet to print and a picture."""

from hashlib import sha256
from io import BytesIO
from threading import Lock

from django.contrib.sitemaps import Sitemap, views
from django.core.cache import cache
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.decorators import method_decorator
from django.utils.http import quote_etag
from django.views.decorators.cache import cache_page
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from django.views.generic import DetailView, View
from django.views.generic.detail import SingleObjectMixin

from pollstr.site_url import absolute_url

from .languages import asked_language
from .models import Poll
from .views import BallotView, UnlistedMixin

# Seconds that caches on the way keep a picture: no longer, for staff may hide its poll.
KEPT_BY_CACHES = 10 * 60
KEPT_HERE = 24 * 60 * 60
# Many ask at once where a link is posted, and one of them draws.
DRAWING = Lock()
SITEMAP_SECONDS = 60 * 60


class ShareView(BallotView):
    """The public page of a poll, with its ballot, for whoever has the link.

    Caches on the way keep it for nobody (``no-store``, ``Vary: Cookie``): the form holds a token
    that belongs to the visitor's cookie, and the page tells who is signed in and what they voted.
    In return it is cheap. A stranger gets that one cookie and no session, and mostly a page that
    this process made for another stranger a moment ago.
    """

    template_name = "polls/share.html"
    kept_queries = set()

    def audience(self):
        return None if self.request.user.is_authenticated else "strangers"

    def refuse(self):
        return None

    @property
    def link(self):
        return self.kwargs["slug"]

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        # Whoever follows the link to the results can still prove a phone on the way.
        sees_results = self.object.shows_results_to(
            self.request.user, is_verified=True, has_voted=context["has_voted"]
        )
        return context | {
            "proves_later": not self.is_verified,
            "sees_results": sees_results and not self.object.is_upcoming,
        }


class PublishedMixin(UnlistedMixin, SingleObjectMixin):
    """What everybody gets of a poll that is published, without a cookie."""

    http_method_names = ["get", "head", "options"]
    prefetched = ["choices"]

    def get_queryset(self):
        return Poll.objects.published().prefetch_related(*self.prefetched)

    def share_url(self) -> str:
        return absolute_url(self.request, reverse("share", args=[self.object.slug]))


class PrintView(PublishedMixin, DetailView):
    template_name = "polls/print.html"


class PictureView(PublishedMixin, View):
    """A picture that caches may keep and ask after; it is drawn once a day at most."""

    # Another number makes every copy out of date.
    version = 1

    def get(self, request, *args, **kwargs):
        self.object = self.get_object()
        content = f"{self.content_type} {self.version} {self.content()}"
        key = sha256(content.encode()).hexdigest()
        etag = quote_etag(key)
        response = get_conditional_response(request, etag=etag)
        if response is None:
            response = HttpResponse(self.picture(f"picture:{key}"), content_type=self.content_type)
        response["ETag"] = etag
        patch_cache_control(response, public=True, max_age=KEPT_BY_CACHES)
        return response

    def picture(self, key) -> bytes:
        return cache.get(key) or self.draw_once(key)

    def draw_once(self, key) -> bytes:
        with DRAWING:
            return cache.get_or_set(key, self.draw, KEPT_HERE)


class QrView(PictureView):
    """The QR code of the public page's address."""

    prefetched = []

    def content(self):
        return self.share_url()

    def draw(self) -> bytes:
        # Imported here: what is drawn is kept for long, and most processes never draw.
        import segno

        out = BytesIO()
        # Error correction of 15 %, or more where it costs no room: a print gets creased.
        segno.make_qr(self.share_url(), error="m").save(out, **self.file)
        return out.getvalue()


# It holds no secret that its length could tell, and is a third as large.
@method_decorator(gzip_page, name="dispatch")
class QrSvgView(QrView):
    content_type = "image/svg+xml"
    file = {"kind": "svg", "omitsize": True, "light": "#fff"}


class QrPngView(QrView):
    content_type = "image/png"
    file = {"kind": "png", "scale": 20}


class CardView(PictureView):
    """The picture that other sites show beside the link, the same for everybody."""

    content_type = "image/png"
    version = 2

    def get(self, request, *args, **kwargs):
        with translation.override(asked_language(request)):
            return super().get(request, *args, **kwargs)

    def content(self):
        choices = [choice.text for choice in self.object.choices.all()]
        return self.object.question, choices, translation.get_language()

    def draw(self) -> bytes:
        # Loaded when the first card is drawn: it costs 0.2 s and 12 MB.
        from . import card

        return card.draw(*self.content()[:2])


class PollSitemap(Sitemap):
    # The standard allows 50,000 in a file; so many are made in a moment, for whoever asks.
    limit = 1000

    def items(self):
        # Oldest first: a new poll moves no other to another file.
        polls = Poll.objects.listed().order_by("pk")
        return polls.only("slug", "published_at", "opens_at", "closes_at")

    def location(self, poll):
        return reverse("share", args=[poll.slug])

    def lastmod(self, poll):
        moments = [poll.published_at, poll.opens_at, poll.closes_at]
        past = (at for at in moments if at and at <= timezone.now())
        return max(past, default=poll.published_at)

    def get_latest_lastmod(self):
        # Django would fetch every poll to find it.
        return None


SITEMAPS = {"polls": PollSitemap}


@require_safe
@cache_page(SITEMAP_SECONDS)
def sitemap(request, **section):
    """Answer with the polls in one file; where there are too many, with a list of such files."""
    fits = section or PollSitemap().paginator.num_pages == 1
    response = (views.sitemap if fits else views.index)(request, SITEMAPS, **section)
    # Django makes these links from the Host header.
    own, site = request.build_absolute_uri("/"), absolute_url(request, "/")
    for url in response.context_data.get("urlset", []):
        url["location"] = url["location"].replace(own, site, 1)
    for part in response.context_data.get("sitemaps", []):
        part.location = part.location.replace(own, site, 1)
    return response
