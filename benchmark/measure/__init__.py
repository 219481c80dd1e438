"""Speed and latency of models, and the check of the fast path on a GPU."""
