"""Whether the gain of a search is real: statistics of trials that are repeated with new seeds."""
