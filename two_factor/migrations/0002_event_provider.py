from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("two_factor", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="provider_ms",
            field=models.PositiveIntegerField(
                null=True, verbose_name="milliseconds that Vonage took"
            ),
        ),
        migrations.AddField(
            model_name="event",
            name="provider_status",
            field=models.PositiveSmallIntegerField(
                null=True, verbose_name="HTTP status of a refusal"
            ),
        ),
    ]
