"""The local record of runs: a SQLite database and the locks beside it."""
