"""The scripts are cases of tests, not tests."""

collect_ignore = ["scripts"]
