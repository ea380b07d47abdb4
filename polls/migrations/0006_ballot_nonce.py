"""What ties a receipt to one vote. Releases that know nothing of it leave it empty."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("polls", "0005_change_sentences_default")]

    operations = [
        migrations.AddField(
            model_name="ballot",
            name="nonce",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=16
            ),
        ),
    ]
