"""Devices, precision, memory, and the processes of one run."""
