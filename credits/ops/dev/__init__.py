"""`credits dev`: the whole of Creditgate in one folder, with a Redis and a database of its own, for one developer."""
