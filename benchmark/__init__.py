"""The harness: composes a run, scores its predictions, stores its record and builds every table."""
