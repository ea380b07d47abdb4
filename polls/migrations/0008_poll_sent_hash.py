from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("polls", "0005_change_sentences_default")]

    operations = [
        migrations.AddField(
            model_name="poll",
            name="sent_hash",
            field=models.CharField(blank=True, editable=False, max_length=64, null=True),
        ),
    ]
