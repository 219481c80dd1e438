"""Run one configuration, or a sweep of them."""
