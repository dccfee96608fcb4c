"""A module a command: ``manage.py ladder_…``."""
