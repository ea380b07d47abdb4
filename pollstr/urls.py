from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path
from django.views.decorators.cache import never_cache
from django.views.generic import RedirectView

from polls import sharing
from polls.views import ReceiptView

from . import accounts, legal, password_reset, views

# What Django's own views are asked for here; they would take more.
PAGE = ["get", "head", "options"]
FORM = ["get", "head", "options", "post"]

handler400 = "pollstr.errors.bad_request"
handler403 = "pollstr.errors.permission_denied"
handler404 = "pollstr.errors.page_not_found"
handler500 = "pollstr.errors.server_error"

urlpatterns = [
    path("favicon.ico", views.favicon),
    path("manifest.webmanifest", views.manifest, name="manifest"),
    path("", RedirectView.as_view(pattern_name="polls:list", http_method_names=PAGE), name="home"),
    path("polls/", include("polls.urls")),
    # Whatever people type: the page finds out what they mean.
    path("p/<str:slug>/", sharing.ShareView.as_view(), name="share"),
    path("P/<str:slug>/", RedirectView.as_view(pattern_name="share", http_method_names=PAGE)),
    path("p/<slug:slug>/print/", sharing.PrintView.as_view(), name="print"),
    path("p/<slug:slug>/qr.svg", sharing.QrSvgView.as_view(), name="qr_svg"),
    path("p/<slug:slug>/qr.png", sharing.QrPngView.as_view(), name="qr_png"),
    path("p/<slug:slug>/card.png", sharing.CardView.as_view(), name="card"),
    path("robots.txt", views.robots, name="robots"),
    path("sitemap.xml", sharing.sitemap, name="sitemap"),
    # Django's list of files leads to this name.
    path("sitemap-<section>.xml", sharing.sitemap, name="django.contrib.sitemaps.views.sitemap"),
    path("r/<str:code>/", ReceiptView.as_view(), name="receipt"),
    path("2fa/", include("two_factor.urls")),
    path("login/", accounts.LoginView.as_view(), name="login"),
    path("logout/", accounts.LogoutView.as_view(), name="logout"),
    path("register/", accounts.RegisterView.as_view(), name="register"),
    path("account/", accounts.AccountView.as_view(), name="account"),
    path("account/email/", accounts.EmailView.as_view(), name="account_email"),
    path("account/email/link/", accounts.EmailLinkView.as_view(), name="account_email_link"),
    path(
        "account/email/<str:token>/",
        accounts.EmailConfirmView.as_view(),
        name="account_email_confirm",
    ),
    path(
        "account/sign-out-others/",
        accounts.SignOutOthersView.as_view(),
        name="account_sign_out_others",
    ),
    path("account/delete/", accounts.AccountDeleteView.as_view(), name="account_delete"),
    path(
        "password_change/",
        accounts.PasswordChangeView.as_view(),
        name="password_change",
    ),
    path(
        "password_change/done/",
        never_cache(auth.PasswordChangeDoneView.as_view()),
        name="password_change_done",
    ),
    path(
        "password_reset/",
        password_reset.PasswordResetView.as_view(http_method_names=FORM),
        name="password_reset",
    ),
    path(
        "password_reset/done/",
        password_reset.PasswordResetDoneView.as_view(),
        name="password_reset_done",
    ),
    path(
        "reset/<uidb64>/<token>/",
        password_reset.PasswordResetConfirmView.as_view(http_method_names=FORM),
        name="password_reset_confirm",
    ),
    path(
        "reset/done/",
        password_reset.PasswordResetCompleteView.as_view(),
        name="password_reset_complete",
    ),
    path("privacy/", legal.PrivacyView.as_view(), name="privacy"),
    path("terms/", legal.LegalView.as_view(template_name="legal/terms.html"), name="terms"),
    path("imprint/", legal.LegalView.as_view(template_name="legal/imprint.html"), name="imprint"),
    path(
        "accessibility/",
        legal.LegalView.as_view(template_name="legal/accessibility.html"),
        name="accessibility",
    ),
    path("language/", views.language, name="language"),
    # Ours asks for more, and tells by mail.
    path(
        "admin/password_change/",
        RedirectView.as_view(pattern_name="password_change", http_method_names=PAGE),
    ),
    path("admin/", admin.site.urls),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]
if settings.DEBUG:
    from .styleguide import styleguide

    urlpatterns.append(path("styleguide/", styleguide, name="styleguide"))
