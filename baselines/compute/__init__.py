"""Devices, precision, memory, and shares and sums of several processes."""
