"""Load a data set as three checked splits."""
