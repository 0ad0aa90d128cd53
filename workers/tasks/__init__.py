"""Tasks: a name and one call each. Their arguments are ids; what they do lives in credits."""
