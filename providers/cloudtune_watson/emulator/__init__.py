"""An emulator of IBM's machine learning services that really runs the trials.

It speaks, over HTTPS on loopback, what IBM's own clients ask of a Cloud Pak for Data cluster to
store a model definition and to run, read and cancel training jobs; and the REST API of Watson
Machine Learning Accelerator for searches and their executions. Trials run as processes of this
machine. Which trials a search runs is chosen by cloudtune's own search, not by the service's.

All state lives in the process; what lies on the cluster's volume is kept on disk.
"""
