"""An emulator of an Azure Machine Learning workspace that really runs sweeps and command jobs.

It speaks the parts of the REST API, of run history, of MLflow and of the blob service that
cloudtune uses, in the forms of recorded traffic (tests/recordings/azure). Jobs run as processes of
this machine. It has no other jobs and no lists of assets.
"""
