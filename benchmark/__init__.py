"""The referee: composes a run, judges its predictions, keeps its record and draws every table."""
