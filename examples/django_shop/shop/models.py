"""The shop's own table."""

from django.db import models


class Order(models.Model):
    number = models.BigAutoField(primary_key=True)
    cart = models.CharField(max_length=200, unique=True)
    total = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        db_table = "orders"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(total__gt=0), name="an_order_is_worth_something"
            ),
        )
