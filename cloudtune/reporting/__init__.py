"""Output for people: progress, summaries, tables, and reports."""
