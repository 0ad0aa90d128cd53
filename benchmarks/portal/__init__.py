"""What the hosted page costs the server, and what its first view weighs."""
