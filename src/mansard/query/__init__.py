"""Questions about a model on hardware: load, analyze, and what an answer holds."""
