from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("polls", "0007_forgets_voters_help")]

    operations = [
        migrations.AddField(
            model_name="poll",
            name="sent_hash",
            field=models.CharField(blank=True, editable=False, max_length=64, null=True),
        ),
    ]
