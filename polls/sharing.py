"""What is sent around of a poll: its public page, its QR code, a sheet to print and a picture."""

from functools import cache
from hashlib import sha256
from io import BytesIO

from django.core.paginator import InvalidPage, Paginator
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.decorators import method_decorator
from django.utils.http import quote_etag
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from django.views.generic import DetailView, View
from django.views.generic.detail import SingleObjectMixin

from pollstr.site_url import absolute_url, site_url

from . import picture_cache
from .languages import asked_language
from .models import Poll, polls_updated
from .picks import picks_of
from .shared_copy import ProcessStore, SharedCopy, forget_now_and_on_commit
from .typed import clean_code
from .views import BallotView, UnlistedMixin

# Characters: a name of a host has 253 at most, and the path a few more.
MAX_QR_LINK = 400
# Seconds: when a file of the sitemap is rebuilt, and how old it gets at most. A hidden poll, or one
# that is open by link only now, is in no file that is older.
SITEMAP_FRESH, SITEMAP_MAX_AGE = 1, 2
# Polls in a file. The standard allows 50,000; so many are written in a moment.
SITEMAP_LIMIT = 1000
# Files that a process keeps.
MAX_SITEMAPS = 20
# Stands in shared files where each answer has the address of the site.
SITE = "https://site.invalid"


class ShareView(BallotView):
    """The public page of a poll, with its ballot, for whoever has the link.

    Caches on the way keep it for nobody (``no-store``, ``Vary: Cookie``): the form holds a token
    that belongs to the visitor's cookie, and the page tells who is signed in and what they voted.
    In return it is cheap. A stranger gets that one cookie and no session, and mostly a page that
    this process made for another stranger a moment ago.
    """

    template_name = "polls/share.html"
    not_found_template = "polls/unknown.html"
    kept_queries = set()

    def get(self, request, *args, **kwargs):
        slug = clean_code(self.link)
        if slug and slug != self.link:
            # Typed from paper, or copied with a full stop behind it.
            query = request.META["QUERY_STRING"]
            return redirect(reverse("share", args=[slug]) + (f"?{query}" if query else ""))
        if not slug:
            raise Http404
        return super().get(request, *args, **kwargs)

    def audience(self):
        has_own = self.request.user.is_authenticated or picks_of(self.request.session)
        return None if has_own else "strangers"

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


class PrintView(PublishedMixin, DetailView):
    template_name = "polls/print.html"


class PictureView(PublishedMixin, View):
    """A picture that this process keeps under what it shows.

    Browsers and caches on the way keep it, and ask each time whether it still counts (``no-cache``
    and ETag): a hidden poll's picture is shown to nobody.
    """

    # Another number makes every copy out of date.
    version = 1

    def get(self, request, *args, **kwargs):
        self.object = self.get_object()
        key = picture_key(self.content_type, self.version, self.content())
        etag = quote_etag(key)
        response = get_conditional_response(request, etag=etag)
        if response is None:
            try:
                content = picture_cache.picture(key, self.draw)
            except picture_cache.Busy:
                return self.busy()
            response = HttpResponse(content, content_type=self.content_type)
        response["ETag"] = etag
        patch_cache_control(response, public=True, no_cache=True)
        return response

    def busy(self):
        """Answer while too many pictures are drawn to draw this one, too."""
        words = "Too many pictures are asked for. Try again in a moment."
        headers = {"Retry-After": "2", "Cache-Control": "no-store"}
        return HttpResponse(words, status=503, content_type="text/plain", headers=headers)


def picture_key(*content) -> str:
    return sha256(repr(content).encode(errors="surrogatepass")).hexdigest()


class QrView(PictureView):
    """The QR code of the public page's address."""

    prefetched = []

    def get_object(self):
        poll = super().get_object()
        # What takes long to draw, and what no code can hold, comes of a made-up host.
        self.link = absolute_url(self.request, reverse("share", args=[poll.slug]))
        if len(self.link) > MAX_QR_LINK:
            raise Http404
        return poll

    def content(self):
        return self.link

    def draw(self) -> bytes:
        # Imported here: what is drawn is kept, and many processes never draw.
        import segno

        out = BytesIO()
        # Error correction of 15 %, or more where it costs no room: a print gets creased.
        segno.make_qr(self.link, error="m").save(out, **self.file)
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
    version = 3

    def get(self, request, *args, **kwargs):
        with translation.override(asked_language(request)):
            return super().get(request, *args, **kwargs)

    def content(self):
        return card_content(self.object)

    def draw(self) -> bytes:
        # Loaded when the first card is drawn: it costs 0.2 s and 12 MB.
        from . import card

        return card.draw(*self.content()[:2])

    def busy(self):
        """Answer with the card that fits every poll; who keeps it for long asks again then."""
        picture = plain_card(translation.get_language())
        headers = {"Cache-Control": "no-store"}
        return HttpResponse(picture, content_type=self.content_type, headers=headers)


def card_content(poll):
    """Return what the card of a poll shows: question, choices and the language spoken now."""
    return poll.question, [choice.text for choice in poll.choices.all()], translation.get_language()


def card_version(poll) -> str:
    """Return what changes with the card, for its address: other sites never ask again for one."""
    return picture_key(CardView.version, card_content(poll))[:16]


@cache
def plain_card(language: str) -> bytes:
    from . import card

    with translation.override(language):
        return card.draw("", [])


sitemaps = ProcessStore(lambda files: len(files) >= 2 * MAX_SITEMAPS)


@require_safe
def sitemap(request, section=None):
    """Answer with the polls in one file; where there are too many, with a list of such files."""
    number = request.GET.get("p", "1")
    if section not in {None, "polls"} or not is_file_number(number):
        raise Http404
    # Neither host nor any other query: strangers make them up.
    name = f"{section or 'site'} {int(number)}"
    shared = SharedCopy(sitemaps, name, SITEMAP_FRESH, SITEMAP_MAX_AGE)
    text = shared.get() or shared.rebuild(lambda: sitemap_file(section, int(number)))
    headers = {"Cache-Control": "no-cache", "X-Robots-Tag": "noindex, noodp, noarchive"}
    return HttpResponse(text.replace(SITE, site_url(request)), "application/xml", headers=headers)


def is_file_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 4 and int(text) > 0


def sitemap_file(section, number: int) -> str:
    """Return one file as XML, with SITE in place of the host; a number too high is a 404."""
    # Oldest first: a new poll moves no other to another file.
    polls = Poll.objects.listed().order_by("pk")
    fields = ["slug", "published_at", "opens_at", "closes_at"]
    paginator = Paginator(polls.only(*fields), SITEMAP_LIMIT)
    if section is None and number == 1 and paginator.num_pages > 1:
        path = reverse("django.contrib.sitemaps.views.sitemap", args=["polls"])
        pages = ["", *(f"?p={page}" for page in paginator.page_range[1:])]
        files = [{"location": f"{SITE}{path}{page}"} for page in pages]
        return render_to_string("sitemap_index.xml", {"sitemaps": files})
    try:
        page = paginator.page(number)
    except InvalidPage as error:
        raise Http404 from error
    urlset = [
        {"location": f"{SITE}{reverse('share', args=[poll.slug])}", "lastmod": last_change(poll)}
        for poll in page
    ]
    return render_to_string("sitemap.xml", {"urlset": urlset})


def last_change(poll):
    """Return the moment at which the public page last became another by the clock."""
    moments = [poll.published_at, poll.opens_at, poll.closes_at]
    past = (at for at in moments if at and at <= timezone.now())
    return max(past, default=poll.published_at)


@receiver([post_save, post_delete], sender=Poll)
@receiver(polls_updated)
def forget_sitemaps(**kwargs):
    forget_now_and_on_commit(sitemaps.clear)
