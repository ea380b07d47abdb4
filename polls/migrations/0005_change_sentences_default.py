"""For releases that know nothing of the column: the database fills it in."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("polls", "0004_ballot_cast_at")]

    operations = [
        migrations.AlterField(
            model_name="change",
            name="sentences",
            field=models.JSONField(db_default=[], default=list),
        ),
    ]
