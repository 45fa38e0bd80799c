"""An emulator of SageMaker's tuning and training jobs that really runs the trials.

It speaks the service's own protocol on loopback, so that any client of it works unchanged, with S3
and the rest of AWS from moto. Trials run as processes of this machine, without their image: script
mode only. Which trials a tuning job runs is chosen by cloudtune's own search. That is not the
service's own choice, which nobody outside knows.

All state lives in the process; logs and the folders of the jobs are kept on disk.
"""
