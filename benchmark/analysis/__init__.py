"""Tables of numbers from records: metrics, intervals, comparisons."""
