"""Tell authors that receipts end when a poll forgets its voters."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("polls", "0006_ballot_nonce")]

    operations = [
        migrations.AlterField(
            model_name="poll",
            name="forgets_voters",
            field=models.BooleanField(
                default=False,
                help_text="Three months after the close we remove what links votes to phone numbers. The votes stay, and receipts end.",
                verbose_name="forget who voted",
            ),
        ),
    ]
