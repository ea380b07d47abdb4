from django.db import migrations, models
from django.utils.crypto import salted_hmac


def name_key(apps, schema_editor):
    """Mark the codes there are: their fingerprints are made with the present SECRET_KEY."""
    # As two_factor.recovery.key_name makes it.
    key = salted_hmac("two_factor.recovery.key", "", algorithm="sha256").hexdigest()[:16]
    apps.get_model("two_factor", "RecoveryCode").objects.update(key_name=key)


class Migration(migrations.Migration):
    dependencies = [
        ("two_factor", "0005_verification_state"),
    ]

    operations = [
        migrations.AddField(
            model_name="recoverycode",
            name="key_name",
            field=models.CharField(blank=True, db_default="", default="", max_length=16),
        ),
        migrations.RunPython(name_key, migrations.RunPython.noop),
    ]
