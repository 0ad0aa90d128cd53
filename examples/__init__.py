"""Code that an installation writes for itself, as examples to copy."""
