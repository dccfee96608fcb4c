"""The table of orders."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            "Order",
            fields=[
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("cart", models.CharField(max_length=200, unique=True)),
                ("total", models.DecimalField(decimal_places=2, max_digits=12)),
            ],
            options={
                "db_table": "orders",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(total__gt=0), name="an_order_is_worth_something"
                    )
                ],
            },
        ),
    )
