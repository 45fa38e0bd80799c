"""The back end ``wml``: trials as trainings of Watson Machine Learning.

A run stores its code once, as a model definition; each start of a trial is one training.
"""
