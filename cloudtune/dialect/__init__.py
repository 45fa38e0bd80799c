"""What is needed to write a study as the document of another system."""
