"""One run of several jobs: create, execute, stop, resume, detach."""
