"""What an installation decides: its catalogue of credit types and plans (credits.toml) and its settings (environment)."""
