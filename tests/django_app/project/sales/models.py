"""The project's own tables: orders, and tickets as django-fsm keeps them."""

from django.db import models
from django_fsm import FSMField, transition


class Order(models.Model):
    deal = models.CharField(max_length=200, unique=True)


class Customer(models.Model):
    name = models.CharField(max_length=200)


class Ticket(models.Model):
    state = FSMField(default="draft", protected=True)
    customer = models.ForeignKey(Customer, models.CASCADE, null=True)
    price = models.DecimalField(max_digits=9, decimal_places=2, null=True)
    created = models.DateTimeField(null=True)
    changed = models.DateField(null=True)

    @transition(field=state, source="draft", target="sent")
    def send(self):
        pass

    @transition(field=state, source=["draft", "sent"], target="won")
    def win(self):
        pass

    @transition(field=state, source="*", target="scrapped")
    def scrap(self):
        pass


class Passage(models.Model):
    """A log of somebody's own."""

    ticket = models.ForeignKey(Ticket, models.CASCADE)
    became = models.CharField(max_length=20)
    on = models.DateTimeField()
