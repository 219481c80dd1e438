"""Training and prediction on packed streams of tokens."""
