"""Output to the terminal: progress while a run goes on, summaries, and tables."""
