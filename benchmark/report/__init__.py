"""Tables, figures, page and README section from the analysis."""
