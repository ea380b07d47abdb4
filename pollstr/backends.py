from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend


class UserBackend(ModelBackend):
    """Django's accounts; the second factor, asked for at every gate, comes in the same query."""

    def get_user(self, user_id):
        users = get_user_model()._default_manager.select_related("two_factor")
        user = users.filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None
