"""What the models say of the tables: for Django to know, nothing is made."""

from django.db import migrations, models

from .. import fields


class Migration(migrations.Migration):
    """Notes them."""

    dependencies = (("ladderpipe", "0001_schema_15"),)
    operations = (
        migrations.CreateModel(
            name="Deal",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("deal", models.TextField(verbose_name="deal")),
                ("sort_title", models.TextField(db_column="title", null=True)),
                ("stage", models.TextField(null=True, verbose_name="stage")),
                ("visit", models.IntegerField(verbose_name="visit")),
                ("visit_key", models.TextField(null=True)),
                ("owner", models.TextField(null=True, verbose_name="owner")),
                ("value", models.TextField(null=True, verbose_name="value")),
                ("currency", models.TextField(null=True, verbose_name="currency")),
                ("units", models.BigIntegerField(null=True)),
                ("source", models.TextField(null=True, verbose_name="source")),
                ("lost_from", models.TextField(null=True, verbose_name="lost from")),
                ("opened_at", fields.InstantField(null=True, verbose_name="opened")),
                ("entered_at", fields.InstantField(null=True, verbose_name="in this stage since")),
                ("closed_at", fields.InstantField(null=True, verbose_name="closed")),
                ("due_at", fields.InstantField(null=True, verbose_name="next timer")),
                ("last_event_at", fields.InstantField(null=True, verbose_name="last event")),
            ],
            options={
                "verbose_name": "deal",
                "verbose_name_plural": "deals",
                "db_table": "ladder_deals",
                "ordering": ("-entered_at", "id"),
                "permissions": (("move_deal", "Can move deals"),),
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Effect",
            fields=[
                ("key", models.TextField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("state", models.TextField()),
                ("payload", fields.JsonField()),
                ("due_at", fields.InstantField()),
                ("ready_at", fields.InstantField()),
                ("expires_at", fields.InstantField(null=True)),
                ("attempts", models.IntegerField()),
                ("error", models.TextField(null=True)),
                ("owner", models.TextField(null=True)),
                ("recorded_at", fields.InstantField()),
            ],
            options={
                "db_table": "ladder_effects",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "pipeline",
                        "source",
                        "id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("pipeline", models.TextField()),
                ("source", models.TextField()),
                ("id", models.TextField()),
                ("deal", models.TextField()),
                ("type", models.TextField()),
                ("at", fields.ReadInstantField()),
                ("seq", models.BigIntegerField()),
                ("data", fields.JsonField()),
                ("recorded_at", fields.ReadInstantField()),
                ("remark", models.TextField(null=True)),
            ],
            options={
                "db_table": "ladder_events_read",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Move",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "pipeline",
                        "deal",
                        "n",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("pipeline", models.TextField()),
                ("deal", models.TextField()),
                ("n", models.IntegerField()),
                ("out_of", models.TextField(null=True)),
                ("into_stage", models.TextField()),
                ("at", fields.ReadInstantField()),
                ("recorded_at", fields.ReadInstantField()),
                ("rule", models.TextField()),
                ("event_source", models.TextField(null=True)),
                ("event_id", models.TextField(null=True)),
                ("visit_key", models.TextField()),
            ],
            options={
                "db_table": "ladder_moves_read",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Pipeline",
            fields=[
                ("id", models.IntegerField(primary_key=True, serialize=False)),
                ("name", models.TextField(unique=True, verbose_name="name")),
            ],
            options={
                "verbose_name": "pipeline",
                "verbose_name_plural": "pipelines",
                "db_table": "ladder_pipelines",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Visit",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "deal", "n", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("n", models.IntegerField()),
                ("visit_key", models.TextField()),
                ("stage", models.TextField()),
                ("entered_at", fields.InstantField()),
                ("left_at", fields.InstantField(null=True)),
            ],
            options={
                "db_table": "ladder_visits",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Document",
            fields=[
                (
                    "deal",
                    models.OneToOneField(
                        db_column="deal",
                        on_delete=models.DO_NOTHING,
                        primary_key=True,
                        related_name="document",
                        serialize=False,
                        to="ladderpipe.deal",
                    ),
                ),
                ("data", fields.JsonField()),
            ],
            options={
                "db_table": "ladder_documents",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Search",
            fields=[
                (
                    "deal",
                    models.OneToOneField(
                        db_column="deal",
                        on_delete=models.DO_NOTHING,
                        primary_key=True,
                        related_name="search",
                        serialize=False,
                        to="ladderpipe.deal",
                    ),
                ),
                ("text", models.TextField()),
            ],
            options={
                "db_table": "ladder_search",
                "managed": False,
                "default_permissions": (),
            },
        ),
    )
