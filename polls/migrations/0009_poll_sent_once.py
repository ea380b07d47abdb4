from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("polls", "0008_poll_sent_hash")]

    operations = [
        migrations.AddConstraint(
            model_name="poll",
            constraint=models.UniqueConstraint(
                fields=("author", "sent_hash"), name="poll_sent_once"
            ),
        ),
    ]
