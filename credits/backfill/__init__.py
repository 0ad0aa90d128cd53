"""Miss nothing that was paid: list what providers have, and put what we were never told into the inbox."""
