"""Where the day's ballots lie among all there ever were, on PostgreSQL."""

from django.db import migrations


def cast_at_index(apps):
    # Imported here, for it takes psycopg.
    from django.contrib.postgres.indexes import BrinIndex

    # Ballots of one day lie together, so some kilobytes do. A vote is not slower for it.
    index = BrinIndex(fields=["cast_at"], name="ballot_cast_at", pages_per_range=32)
    return apps.get_model("polls", "Ballot"), index


def add_index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.add_index(*cast_at_index(apps))


def remove_index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.remove_index(*cast_at_index(apps))


class Migration(migrations.Migration):
    dependencies = [("polls", "0003_words_in_each_language")]

    operations = [migrations.RunPython(add_index, remove_index)]
