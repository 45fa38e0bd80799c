"""An emulator of Vertex AI's tuning and custom jobs that really runs the trials.

It speaks the service's REST API on loopback, so that Google's own clients work unchanged, with
Cloud Storage from gcp-storage-emulator. Trials run as processes of this machine, without their
image. Which trials a tuning job runs is chosen by cloudtune's own search. That is not the service's
own choice, which nobody outside knows.

All state lives in the process; logs and the folders of the jobs are kept on disk.
"""
