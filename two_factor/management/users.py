from django.contrib.auth import get_user_model
from django.core.management.base import CommandError


def add_user_argument(parser):
    parser.add_argument("username", help="the name the user signs in with")


def get_user(username: str):
    """Return the user, or raise CommandError where there is none of that name."""
    User = get_user_model()
    try:
        return User.objects.get_by_natural_key(username)
    except User.DoesNotExist:
        raise CommandError(f"There is no user called {username}.") from None
