"""One database for the shop's tables and the board's: SQLite, or PostgreSQL by DATABASE_URL."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from psycopg.conninfo import conninfo_to_dict

BASE_DIR = Path(__file__).parent
DATABASE_URL = os.environ.get("DATABASE_URL", f"sqlite:///{BASE_DIR / 'shop.db'}")
MAILBOX = os.environ.get("MAILBOX", "sent.mbox")

SECRET_KEY = os.environ.get("SECRET_KEY", "only while you try things out")
DEBUG = "SECRET_KEY" not in os.environ
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")

INSTALLED_APPS = ["ladderpipe.django", "shop"]
LADDERPIPE = {
    "PIPELINES": ["shop.sales.ladder"],
    "HANDLERS": {"email": "shop.sales.mailbox"},
}
MIDDLEWARE = ["shop.refusals.RefusalMiddleware"]
ROOT_URLCONF = "shop.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_TZ = True


def database(url: str) -> dict:
    if url.startswith("sqlite"):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(urlsplit(url).path[1:]),
            "OPTIONS": {
                # The write lock first, and wait for it: a deferred transaction may be refused it.
                "transaction_mode": "IMMEDIATE",
                "timeout": 60,
                # So that nobody who reads waits for somebody who writes.
                "init_command": "PRAGMA journal_mode = WAL",
            },
        }
    parts = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
    }


DATABASES = {"default": database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
