"""Members of an account and what they may spend of its credits: limits per day, per month, or for ever."""
