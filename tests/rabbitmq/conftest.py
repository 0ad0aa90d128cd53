"""
RabbitMQ is an option for large sites. Its tests are collected where it is installed.

Where it is not, the run says so at its end.
"""

from tests.support.rabbitmq import find_rabbitmq

collect_ignore = [] if find_rabbitmq() else ["test_rabbitmq.py"]
