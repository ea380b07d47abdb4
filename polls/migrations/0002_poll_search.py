"""What the search goes through, on PostgreSQL, and the lists of closed and of open polls."""

from django.db import migrations, models
from django.db.models import Value
from django.db.models.functions import Left, Replace


def search_indexes(apps):
    # Imported here, for it takes psycopg.
    from django.contrib.postgres.indexes import GinIndex
    from django.contrib.postgres.search import SearchVector

    # To the letter what polls.search asks for: an index of anything else would not be used.
    for name, fields in [("Poll", ["question", "description"]), ("Choice", ["text"])]:
        texts = (Left(Replace(field, Value("<"), Value(" ")), 20_000) for field in fields)
        document = SearchVector(*texts, config="simple")
        yield apps.get_model("polls", name), GinIndex(document, name=f"{name.lower()}_search")


def add_search_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for model, index in search_indexes(apps):
            schema_editor.add_index(model, index)


def remove_search_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for model, index in search_indexes(apps):
            schema_editor.remove_index(model, index)


class Migration(migrations.Migration):
    dependencies = [("polls", "0001_initial")]

    operations = [
        migrations.RunPython(add_search_indexes, remove_search_indexes),
        migrations.AddIndex(
            model_name="poll",
            index=models.Index(
                condition=models.Q(
                    ("is_listed", True), ("published_at__isnull", False), ("trashed_at", None)
                ),
                fields=["-closes_at", "-opens_at", "-id"],
                name="poll_latest_closed_listed",
            ),
        ),
    ]
