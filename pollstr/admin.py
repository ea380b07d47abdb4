"""Accounts and groups in the administration."""

from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group, User

from two_factor.admin import StrictModelAdmin

admin.site.unregister([Group, User])


@admin.register(Group)
class GroupAdmin(StrictModelAdmin, auth_admin.GroupAdmin):
    pass


@admin.register(User)
class UserAdmin(StrictModelAdmin, auth_admin.UserAdmin):
    pass
