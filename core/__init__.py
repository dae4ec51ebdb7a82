"""What everything rests on: errors, symbols, units, encodings, expressions. No graphs."""
