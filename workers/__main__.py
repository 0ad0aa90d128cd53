"""`python -m workers` is the `credits` command."""

from workers.command import main

main()
