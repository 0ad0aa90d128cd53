"""Credits around the work of other frameworks: Celery tasks and Flask views that pay for what they do."""
