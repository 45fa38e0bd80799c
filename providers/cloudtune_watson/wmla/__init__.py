"""The back end ``wmla``: one search of WML Accelerator, which chooses the trials."""
