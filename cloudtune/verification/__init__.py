"""What `cloudtune verify` does: small jobs at a service that answer what is not verified."""
