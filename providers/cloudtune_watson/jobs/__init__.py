"""The back end ``jobs``: trials as batch deployment jobs of a script in watsonx.ai Runtime.

A run stores one script and deploys it; each start of a trial is one job of the deployment. Its
results are the files of one data asset, which exists after the end of the job.
"""
