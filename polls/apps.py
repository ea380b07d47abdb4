from django.apps import AppConfig


class PollsConfig(AppConfig):
    name = "polls"

    def ready(self):
        from . import figures  # noqa: F401 (importing connects it to the signals)
