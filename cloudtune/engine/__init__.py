"""Running one job: driver, managed job, job poller and budget."""
