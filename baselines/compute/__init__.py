"""Devices, precision, memory, several processes, and progress bars."""
