from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("polls", "0006_ballot_nonce")]

    operations = [
        migrations.AddField(
            model_name="poll",
            name="sent_hash",
            field=models.CharField(blank=True, editable=False, max_length=64, null=True),
        ),
    ]
