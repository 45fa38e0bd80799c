"""An emulator of Vertex AI's tuning and custom jobs that really runs the trials.

It speaks the service's REST API on loopback, so that Google's own clients work unchanged, with
Cloud Storage from gcp-storage-emulator. Trials run as processes of this machine, without their
image. cloudtune's search chooses the trials; the service's own search is not published.

All state is in the process; logs and the jobs' folders are on disk.
"""
