"""What the clients cost beside bare httpx, and what `@spends` adds to a Celery task."""
