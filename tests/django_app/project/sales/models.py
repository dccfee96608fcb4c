"""The project's own table."""

from django.db import models


class Order(models.Model):
    deal = models.CharField(max_length=200, unique=True)
