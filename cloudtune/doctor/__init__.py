"""What can be known of a run before it costs money: its script, its account and its bundle."""
