"""A project with the board in its database: SQLite, or PostgreSQL by DATABASE_URL."""

import os
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite:///:memory:")
SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
LANGUAGE_CODE = "en"
TIME_ZONE = "Europe/Rome"
DEFAULT_FROM_EMAIL = "Shop <shop@example.com>"
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = os.environ.get("MAILS")
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_fsm_log",
    "ladderpipe.django",
    "sales",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def database(url: str) -> dict:
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        in_file = {"TEST": {"NAME": Path(path).with_suffix(".test")}}
        found = {"ENGINE": "django.db.backends.sqlite3", "NAME": path}
        return found if path == ":memory:" else found | in_file
    parts = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "CONN_MAX_AGE": 60,
    }


DATABASES = {"default": database(DATABASE_URL), "other": database("sqlite:///:memory:")}
LADDERPIPE = {"PIPELINES": ["sales.ladder.leads"], "HANDLERS": {"ring": "sales.ladder.ring"}}
