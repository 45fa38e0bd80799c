"""What the emulators of all services share: the fault plan, and serving on loopback."""
