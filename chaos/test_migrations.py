"""Migrations while the code of before serves: expand first, contract when it is gone."""

import itertools
import shutil

from .conftest import Site
from .voters import COUNTED

FIELD = "    revision = models.PositiveIntegerField(default=1, editable=False)\n"
NEW_FIELD = "    way = models.CharField(max_length=10, null=True)  # noqa: DJ001\n"
MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("polls", "{previous}")]
    operations = [
        migrations.AddField("ballot", "way", models.CharField(max_length=10, null=True)),
        migrations.AddIndex("ballot", models.Index(fields=["way"], name="ballot_way")),
    ]
"""


def next_release(site) -> tuple[Site, str]:
    """Return a copy of the site with another column in its ballots, and the migration before."""
    cwd = site.cwd.with_name("next_release")
    shutil.copytree(site.cwd, cwd)
    ballots, migrations = cwd / "polls/ballots.py", cwd / "polls/migrations"
    assert FIELD in ballots.read_text()
    ballots.write_text(ballots.read_text().replace(FIELD, FIELD + NEW_FIELD))
    previous = max(path.stem for path in migrations.glob("0*.py"))
    (migrations / "9999_ballot_way.py").write_text(MIGRATION.format(previous=previous))
    return Site(site.env, cwd, site.people, site.sessions_with_code), previous


def columns(site) -> set[str]:
    with site.connect() as connection:
        return {column.name for column in connection.execute("TABLE polls_ballot").description}


def test_old_and_new_code_serve_on_while_a_column_comes_and_goes(site, tell):
    new, previous = next_release(site)
    try:
        with site.served() as (url, _), site.crowd(url, size=4).voting() as crowd:
            crowd.wait_for(COUNTED)
            new.manage("migrate", "--verbosity=0")
            assert "way" in columns(site)
            crowd.wait_for(COUNTED)
            with new.served() as (new_url, _):
                crowd.sites = itertools.cycle([url, new_url])
                crowd.wait_for(COUNTED, 50)
                # Back to a release that knows nothing of the column: only then may it go.
                crowd.sites = itertools.cycle([url])
                crowd.wait_for(COUNTED)
            new.manage("migrate", "polls", previous, "--verbosity=0")
            assert "way" not in columns(site)
            crowd.wait_for(COUNTED, 50)
        site.check(crowd)
        # Nobody was as much as asked to try again.
        assert set(crowd.told) == {COUNTED}
        tell(crowd)
    finally:
        shutil.rmtree(new.cwd)
