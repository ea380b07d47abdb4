"""What the search goes through on PostgreSQL: the words of polls and choices, split by one rule."""

from django.db import migrations

SPACED = "0-9A-Za-zÀ-ÖØ-öø-ɏΆΈ-ΊΌΎ-ΡΣ-ώЀ-ҁҊ-ԯԱ-Ֆա-ևא-תؠ-ؿف-ي٠-٩ٱ-ۓ۰-۹ა-ჺჼ-ჿḀ-ỿ가-힣"
UNSPACED = "\u0900-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
UNSPACED += "\uf900-\ufaff\U00020000-\U0003ffff"
# As polls.search splits a text. Not by to_tsvector, whose parser makes files, hosts and numbers of
# some words. A token longer than a search is cut: PostgreSQL refuses those of more than 2 kB.
ADD_FUNCTION = f"""
    CREATE OR REPLACE FUNCTION polls_search_tokens(content text) RETURNS tsvector
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        words text := regexp_replace(
            translate(lower(translate(left(content, 20000), 'İ', 'i')), 'ς', 'σ'),
            '[^{SPACED}{UNSPACED}]+', ' ', 'g'
        );
    BEGIN
        -- Most texts are short, and many are ASCII: they are spared two regular expressions.
        IF octet_length(words) > length(words) THEN
            words := regexp_replace(words, '([{UNSPACED}])', ' \\1 ', 'g');
        END IF;
        IF length(words) > 500 THEN
            words := regexp_replace(words, '([^ ]{{100}})[^ ]+', '\\1', 'g');
        END IF;
        RETURN array_to_tsvector(array_remove(string_to_array(words, ' '), ''));
    END
    $$
"""
INDEXES = {
    "poll_search_tokens": "polls_poll USING gin (polls_search_tokens(question || ' ' || description))",
    "choice_search_tokens": "polls_choice USING gin (polls_search_tokens(text))",
}


def add(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(ADD_FUNCTION)
        for name, definition in INDEXES.items():
            # One that was begun and broken off is not used, and would be in the way.
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            # Votes and edits go on meanwhile.
            schema_editor.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")


def remove(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in INDEXES:
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        schema_editor.execute("DROP FUNCTION IF EXISTS polls_search_tokens(text)")


class Migration(migrations.Migration):
    # CONCURRENTLY works outside of transactions alone.
    atomic = False
    dependencies = [("polls", "0009_poll_sent_once")]
    operations = [migrations.RunPython(add, remove)]
