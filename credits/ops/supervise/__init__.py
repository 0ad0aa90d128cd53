"""
Keep one program alive: start it again when it exits, and kill it first when it is alive but does nothing.

A Celery worker whose Redis is killed may exit for good, or stay and never consume again; a restart policy alone sees
only the first. The supervisor therefore judges by signs of life: a heartbeat file that the worker's event loop touches,
an answer to HTTP, an answer to PING.
"""
