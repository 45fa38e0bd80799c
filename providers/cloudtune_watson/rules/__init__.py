"""The rules that hold on every back end; those of one are in its folder.

The sources of the limits are in `cloudtune_watson.capabilities` and `cloudtune_watson.versions`.
"""
