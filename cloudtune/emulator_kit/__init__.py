"""What the emulators of all providers share: server, command line, jobs, tuner, delays."""
