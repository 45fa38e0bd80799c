"""The study file: schema, loader, search space and validation."""
