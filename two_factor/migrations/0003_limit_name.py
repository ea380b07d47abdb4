from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("two_factor", "0002_event_provider"),
    ]

    operations = [
        migrations.AddField(
            model_name="limit",
            name="name",
            field=models.CharField(db_default="", max_length=40),
        ),
    ]
