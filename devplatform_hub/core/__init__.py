"""Pure values and decisions. No I/O, clock, randomness or framework: time and ids come in as arguments."""
