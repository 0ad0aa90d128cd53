"""The entry point for a WSGI server: `gunicorn webhooks.fakes.wsgi:app`. Only `credits dev` starts it."""

from webhooks.fakes.app import fakes_from_env

app = fakes_from_env()
