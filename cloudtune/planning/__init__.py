"""From a study to a plan: preflight checks, native requests, warm start."""
