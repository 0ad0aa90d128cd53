"""A seeded simulator of the gate: the shipped scripts and procedures, in every bad order it can find, checked after every step."""
