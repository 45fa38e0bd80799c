"""The comparison of jobs: functions from results to plain data."""
