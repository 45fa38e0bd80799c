"""Running processes: starting, watching, ending, and reading what they print and report."""
