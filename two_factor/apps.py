from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TwoFactorConfig(AppConfig):
    name = "two_factor"
    verbose_name = _("Phone verification")

    def ready(self):
        from . import mail  # noqa: F401 (importing connects it to the signals)
