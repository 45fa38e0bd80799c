"""An emulator of IBM's machine learning services that really runs the trials.

Over HTTPS on loopback it speaks the API of a Cloud Pak for Data cluster, limited to the calls with
which IBM's own clients store a model definition and run, read and cancel training jobs; and the
REST API of Watson Machine Learning Accelerator for searches and their executions. Trials run as
processes of this machine. cloudtune's search chooses the trials of a search.

All state is in the process; the files of the cluster's volume are on disk.
"""
