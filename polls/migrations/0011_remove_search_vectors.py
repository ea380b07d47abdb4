"""Remove the search indexes of migration 0002, which nothing asks any more."""

from importlib import import_module

from django.db import migrations

migration_0002 = import_module("polls.migrations.0002_poll_search")


def remove(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in ["poll_search", "choice_search"]:
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def add(apps, schema_editor):
    """Make them as migration 0002 does."""
    if schema_editor.connection.vendor == "postgresql":
        for model, index in migration_0002.search_indexes(apps):
            schema_editor.add_index(model, index, concurrently=True)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("polls", "0010_search_tokens")]
    operations = [migrations.RunPython(remove, add)]
