"""Neural architecture search for image classifiers: search, scale, compare."""
