"""Pages that the law asks for, true to what this site keeps and filled in from its settings."""

from django.conf import settings
from django.views.generic import TemplateView

from polls.kept import KeptMixin
from polls.models import FORGET_AFTER, TRASH_LIFE

from .devices import COOKIE_NAME as DEVICE_COOKIE

DAY = 24 * 60 * 60


class LegalView(KeptMixin, TemplateView):
    """A page that is the same for everybody."""

    http_method_names = ["get", "head", "options"]

    def audience(self):
        return "all"

    def get_context_data(self, **kwargs):
        return super().get_context_data(operator=settings.OPERATOR, **kwargs)


class PrivacyView(LegalView):
    """What is kept of people, for how long, and who else gets it (GDPR, article 13)."""

    template_name = "legal/privacy.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            history_days=settings.VERIFY_HISTORY_DAYS,
            forget_days=FORGET_AFTER.days,
            trash_days=TRASH_LIFE.days,
            session_days=settings.SESSION_COOKIE_AGE // DAY,
            cookies={
                "session": settings.SESSION_COOKIE_NAME,
                "csrf": settings.CSRF_COOKIE_NAME,
                "messages": settings.MESSAGES_COOKIE_NAME,
                "language": settings.LANGUAGE_COOKIE_NAME,
                "device": DEVICE_COOKIE,
            },
            sends_mail=settings.SENDS_MAIL,
            reports_faults=bool(settings.SENTRY_DSN),
            **kwargs,
        )
