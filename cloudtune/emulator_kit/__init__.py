"""What the emulators of the providers share."""
