"""The command `credits`: one module per group of commands, each thin over a service."""
