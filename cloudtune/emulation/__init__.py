"""Starts and finds emulators, and reads fault plans: the client side of emulation."""
