"""The tables of schema version 16: hash chains."""

from django.db import migrations

from ..schema import bring_up_to_date


class Migration(migrations.Migration):
    """Runs our numbered migrations."""

    atomic = False
    dependencies = (("ladderpipe", "0002_models"),)
    operations = (migrations.RunPython(bring_up_to_date),)
