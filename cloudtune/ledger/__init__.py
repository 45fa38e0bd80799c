"""The local record of runs: a SQLite database and a lock for each run."""
