"""A server process that imports a script's modules once and forks a process for each trial."""
