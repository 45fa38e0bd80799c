"""The user's source, its archive, and the files that start a trial."""
