# shellcheck shell=bash disable=SC2034
# What all jobs of one study share. Copy this file, change it, and give it to the scripts beside it.

bids_dir=/data/study
output_dir=/data/study/derivatives/bids-harmonize
jobs_dir=$output_dir-jobs # lists, exit codes and logs of the jobs; every node must see it

# The command. In a container: app=(apptainer run --nv -B /data /software/bids-harmonize.sif)
app=(bids-harmonize)

participant_options=(--resolution 1)
group_options=(--reference-site Tokyo)

at_once=100    # participants that run at the same time
array_size=1000 # of one job; MaxArraySize of the cluster minus one is the most
