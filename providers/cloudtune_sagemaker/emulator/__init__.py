"""An emulator of SageMaker's tuning and training jobs that really runs the trials.

It speaks the service's protocol on loopback, so that its clients work unchanged, with S3 and the
rest of AWS from moto. Trials run as processes of this machine, without their image: script mode
only. cloudtune's search chooses the trials; the service's own search is not published.

All state is in the process; logs and the jobs' folders are on disk.
"""
