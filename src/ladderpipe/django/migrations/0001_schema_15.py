"""The tables of schema version 15, which are ladderpipe's own to make and to upgrade."""

from django.db import migrations

from ..schema import bring_up_to_date


class Migration(migrations.Migration):
    """Runs our numbered migrations."""

    initial = True
    atomic = False
    dependencies = ()
    operations = (migrations.RunPython(bring_up_to_date),)
