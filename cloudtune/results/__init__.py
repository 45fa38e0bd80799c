"""What happened in a job: events, trials, objective values and tables."""
