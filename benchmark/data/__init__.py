"""Read a data set into three checked splits."""
