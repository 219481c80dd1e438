"""From the command line to a resolved configuration, and what of it is published."""
