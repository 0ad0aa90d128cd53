"""What an installation decides: its catalogue (credits.toml) and its settings (environment)."""
