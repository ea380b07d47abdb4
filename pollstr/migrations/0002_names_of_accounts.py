from collections import Counter

from django.db import migrations

from pollstr.models import name_key

BATCH = 2000


def fill(apps, schema_editor):
    """Make a row for each account there is. Names that differ in case only get no key."""
    users = apps.get_model("auth", "User").objects.using(schema_editor.connection.alias)
    Account = apps.get_model("pollstr", "Account")
    names = users.values_list("pk", "username").order_by("pk")
    times = Counter(name_key(name) for _, name in names.iterator())
    accounts = []
    for pk, name in names.iterator():
        key = name_key(name)
        accounts.append(Account(user_id=pk, name_key=key if times[key] == 1 else None))
        if len(accounts) == BATCH:
            save(Account, accounts, schema_editor)
            accounts = []
    save(Account, accounts, schema_editor)


def save(Account, accounts, schema_editor):
    # Accounts that are made or deleted meanwhile get theirs when they next sign in.
    manager = Account.objects.using(schema_editor.connection.alias)
    manager.bulk_create(accounts, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("pollstr", "0001_accounts")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
