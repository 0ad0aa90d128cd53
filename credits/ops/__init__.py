"""Operators: the command, the health of the installation, and the dev runner."""
