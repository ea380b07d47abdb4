from django.db import migrations
from django.db.models import Q

from two_factor.numbers import canonical_text

# With these begin the numbers that have another spelling.
BEGINNINGS = ["+54", "+521", "+390549", "+972", "+35348", "+241", "+33"]


def write_canonical_numbers(apps, schema_editor):
    """Give each proven number its one spelling, unless another account holds that already.

    The generation of a number stays, so that browsers stay verified. Where two accounts hold both
    spellings, each keeps its own: they meet at the ballot, where one of them has voted.
    """
    phones = apps.get_model("two_factor", "TwoFactor").objects
    begins = Q()
    for beginning in BEGINNINGS:
        begins |= Q(number__startswith=beginning)
    for pk, number in list(phones.filter(begins).values_list("pk", "number")):
        spelled = canonical_text(str(number))
        if spelled != str(number) and not phones.filter(number=spelled).exists():
            phones.filter(pk=pk).update(number=spelled)


class Migration(migrations.Migration):
    dependencies = [
        ("two_factor", "0006_recovery_code_key"),
    ]

    operations = [
        # The spelling of before is not kept, so there is nothing to put back.
        migrations.RunPython(write_canonical_numbers, migrations.RunPython.noop),
    ]
