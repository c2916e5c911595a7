#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Map an archive on SLURM: one Ray node on each node of the job. From the checkout, after `make`
# and `.venv/bin/pip install "ray[client]"`, both on a file system that the nodes share:
#   sbatch --nodes=8 deploy/archive/slurm.sh /data/drives --output /data/maps --gpus-per-bag 0.25
# What ends the job (its time, a lost node) costs the recordings in work. Submitted several times
# with --dependency=singleton, it goes on until all is done:
#   for i in 1 2 3; do sbatch --dependency=singleton deploy/archive/slurm.sh ...; done
#SBATCH --job-name=ttt3r-archive
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --no-kill
#SBATCH --output=ttt3r-archive-%j.log
set -euo pipefail

# sbatch runs a copy of this file: the checkout is where it was submitted.
cd "${SLURM_SUBMIT_DIR:-.}"
bin=$PWD/.venv/bin
[ -x "$bin/ray" ] || {
    echo "no $bin/ray: submit from the checkout, after make and pip install 'ray[client]'" >&2
    exit 1
}

# This script runs on the first node, which is the head.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
others=$((SLURM_JOB_NUM_NODES - 1))
# Other jobs may run a head on this node too: a port of this one's own.
port=$((20000 + SLURM_JOB_ID % 20000))
export RAY_USAGE_STATS_ENABLED=0
# Only this job may use its nodes.
RAY_AUTH_TOKEN=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token
# Paths of sockets have at most 107 letters: not below the TMPDIR of a job.
export RAY_TMPDIR=/tmp
# No pixels pass through the store of Ray; without this it takes 30 % of the memory.
node=("$bin/ray" start --object-store-memory 100000000 --disable-usage-stats --block)

stop() { jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true; }
trap stop EXIT
answers() { (exec 3<>"/dev/tcp/$first/$port") 2>/dev/null; }

srun --nodes=1 --ntasks=1 --nodelist="$first" \
    "${node[@]}" --head --port "$port" --include-dashboard false &
for _ in $(seq 60); do
    if answers; then break; fi
    sleep 1
done
if ! answers; then
    echo "the head of Ray on $first does not answer at port $port" >&2
    exit 1
fi
if [ "$others" -gt 0 ]; then
    srun --no-kill --nodes="$others" --ntasks="$others" --exclude="$first" \
        "${node[@]}" --address "$first:$port" &
fi
"$bin/ttt3r" archive --cluster "$first:$port" --scratch "${SLURM_TMPDIR:-/tmp}" "$@"
