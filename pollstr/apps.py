from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class PollstrConfig(AppConfig):
    name = "pollstr"

    def ready(self):
        from . import checks  # noqa: F401 (importing registers them)


class AdminConfig(DjangoAdminConfig):
    default_site = "pollstr.admin_site.AdminSite"
