from django.urls import path

from . import keeping, views, webhooks

app_name = "two_factor"
urlpatterns = [
    path("", views.PhoneView.as_view(), name="phone"),
    path("create/", views.CreateView.as_view(), name="create"),
    path("verify/", views.VerifyView.as_view(), name="verify"),
    path("delivery/", views.DeliveryView.as_view(), name="delivery"),
    path("confirm/", views.ConfirmView.as_view(), name="confirm"),
    path("call/", views.CallView.as_view(), name="call"),
    path("resend/", views.ResendView.as_view(), name="resend"),
    path("cancel/", views.CancelView.as_view(), name="cancel"),
    path("recover/", keeping.RecoverView.as_view(), name="recover"),
    path("recovery-codes/", keeping.RecoveryCodesView.as_view(), name="recovery_codes"),
    path("change/", keeping.ChangeView.as_view(), name="change"),
    path("limits/", keeping.LimitsView.as_view(), name="limits"),
    path("webhook/", webhooks.webhook, name="webhook"),
    # Vonage follows no redirect.
    path("webhook", webhooks.webhook),
]
