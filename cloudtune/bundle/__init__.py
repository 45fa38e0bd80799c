"""The user's source as an archive, and the files that start a trial."""
