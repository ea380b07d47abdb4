from django.apps import AppConfig


class PollsConfig(AppConfig):
    name = "polls"

    def ready(self):
        from . import figures, watching  # noqa: F401 (importing connects them to the signals)
