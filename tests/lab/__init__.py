"""The real parts that tests run against: where they are on this machine, and what would put them there."""
