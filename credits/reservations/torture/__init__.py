"""A seeded simulator of the gate: what we ship, in every bad order it can find, checked after every step."""
