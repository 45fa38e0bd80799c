"""A server process that imports a script's modules once and forks for each trial."""
