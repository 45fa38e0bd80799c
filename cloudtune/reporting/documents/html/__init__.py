"""A comparison as one HTML file with charts, which needs nothing but itself."""
