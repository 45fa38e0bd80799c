"""Reads the configurations of other tools as studies, and writes studies as such."""
