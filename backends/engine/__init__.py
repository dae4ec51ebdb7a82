"""One program over many scenarios: lowered to polynomials once, then arrays of points."""
