"""Accounts, as Django keeps them. Each page of the signed-in loads one."""

from functools import cache

from django.contrib.auth import check_password_with_timing_attack_mitigation, get_user_model
from django.contrib.auth.backends import ModelBackend
from django.db import connection
from django.views.decorators.debug import sensitive_variables

from two_factor.passwords import spellings

from .models import name_key


class UserBackend(ModelBackend):
    """Django's accounts; the second factor, asked for at every gate, comes in the same query."""

    @sensitive_variables("password")
    def authenticate(self, request, username=None, password=None, **kwargs):
        """Return the user with that name, as Django does, but whatever the case of the name.

        A name that nobody has costs as many queries and hashes as a wrong password.
        """
        if username is None or password is None:
            return None
        user = find_user(username)
        is_right = any(
            check_password_with_timing_attack_mitigation(user, spelling)
            for spelling in spellings(password)
        )
        return user if is_right and self.user_can_authenticate(user) else None

    def get_user(self, user_id):
        user = load_user(user_id)
        return user if user and self.user_can_authenticate(user) else None


def find_user(username: str):
    """Return the user with that very name, or the only one whose name differs in case alone."""
    # PostgreSQL takes no NUL, and nobody's name has a character that cannot be read.
    username = username.replace("\0", "\N{REPLACEMENT CHARACTER}")
    users = get_user_model()._default_manager
    exact = users.filter(username=username).first()
    # Asked for in any case, so that the time tells nothing.
    in_any_case = users.filter(account__name_key=name_key(username)).first()
    return exact or in_any_case


@cache
def user_query(vendor: str):
    """Return a query of Django's for one user, its SQL, and what turns columns into values.

    Written once: that takes longer than the database takes to answer.
    """
    users = get_user_model()._default_manager.select_related("two_factor")
    query = users.filter(pk=0).query
    compiler = query.get_compiler(connection=connection)
    sql, _ = compiler.as_sql()
    return query, sql, compiler.get_converters([column for column, *_ in compiler.select])


def load_user(user_id):
    query, sql, converters = user_query(connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(sql, [user_id])
        row = cursor.fetchone()
    if row and converters:
        compiler = query.get_compiler(connection=connection)
        row = next(compiler.apply_converters([row], converters))
    return user_from(row) if row else None


def user_from(row):
    """Return the user of a row, with its second factor, or the knowledge that there is none."""
    User = get_user_model()
    relation = User._meta.get_field("two_factor")
    names = [field.attname for field in User._meta.concrete_fields]
    user = User.from_db(connection.alias, names, row[: len(names)])
    two_factor, values = None, row[len(names) :]
    # The first of them is its id.
    if values[0] is not None:
        two_factor_names = [f.attname for f in relation.related_model._meta.concrete_fields]
        two_factor = relation.related_model.from_db(connection.alias, two_factor_names, values)
        relation.remote_field.set_cached_value(two_factor, user)
    relation.set_cached_value(user, two_factor)
    return user
