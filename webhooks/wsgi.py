"""The WSGI entry: `gunicorn webhooks.wsgi:app`."""

from webhooks.app import app_from_env

app = app_from_env()
