"""Export into the formats of other programs."""
