"""Search strategies: which trials to run next. One protocol, one file per strategy."""
