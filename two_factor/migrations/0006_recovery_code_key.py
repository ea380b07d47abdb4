from django.db import migrations, models

from two_factor.recovery import key_name


def name_key(apps, schema_editor):
    """Mark the codes there are: their fingerprints are made with the present SECRET_KEY."""
    apps.get_model("two_factor", "RecoveryCode").objects.update(key_name=key_name())


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
