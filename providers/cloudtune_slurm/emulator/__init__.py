"""An emulator of Slurm that really runs the batch scripts.

Slurm's API is its commands. Those of `cloudtune_slurm.emulator.commands` parse the options of
Slurm 24.11, and talk to a server on loopback in place of slurmctld, which runs the scripts as
processes of this machine. They follow the man pages of Slurm 24.11.5 (sbatch(1), squeue(1),
scancel(1), sinfo(1), scontrol(1), slurm.conf(5)) and what its commands printed when they were
measured with two nodes on one host. The tests compare both, call by call.

All state is in the process. What the emulator lacks it refuses in words: job arrays, dependencies,
job steps, several nodes for one job, accounting, and limits of memory.
"""
