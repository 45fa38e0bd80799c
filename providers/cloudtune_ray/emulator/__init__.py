"""An emulator of a Ray cluster that really runs the jobs.

It speaks the Jobs API and the parts of the state API that cloudtune uses, as Ray 2.60.0 does; each
rule names the file of Ray's source. Jobs run as processes of this machine, in a session folder laid
out like Ray's. All state is in the process; a restarted head has forgotten it, as Ray's has.
"""
