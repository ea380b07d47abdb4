from django.apps import AppConfig


class TwoFactorConfig(AppConfig):
    name = "two_factor"
    verbose_name = "Phone verification"

    def ready(self):
        from . import mail  # noqa: F401 (importing connects it to the signals)
