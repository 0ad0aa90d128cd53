"""The HTTP API of app services and operators. Only this package knows HTTP."""
