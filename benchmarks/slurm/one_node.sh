#!/usr/bin/env bash
# Runs the SLURM recipes of docs/running_at_scale.md on a real SLURM of one node, this machine, as root:
#   apt-get install slurm-wlm munge && bash benchmarks/slurm/one_node.sh
# A job array of three shards and their merge, then execution=slurm through dask-jobqueue, each compared with a run in one process.
set -euo pipefail
cd "$(dirname "$0")/../.."
capital_loop="${CAPITAL_LOOP:-$PWD/.venv/bin/python -m simulator}"
export PYTHONPATH="$PWD"
work=$(mktemp -d)
host=$(hostname -s)
cpus=$(nproc)

cat > "$work/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
mkdir -p "$work/state" "$work/spool" /run/munge
chown munge: /run/munge
export SLURM_CONF="$work/slurm.conf"
started=()
stop() { for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done; }
trap stop EXIT
runuser -u munge -- munged --foreground 2> "$work/munged.log" & started+=($!)
sleep 1
slurmctld -D -f "$SLURM_CONF" 2> "$work/controller.log" & started+=($!)
slurmd -D -f "$SLURM_CONF" -N "$host" 2> "$work/node.log" & started+=($!)
for _ in $(seq 30); do sinfo -h -o %T 2>/dev/null | grep -q idle && break; sleep 1; done
sinfo

run="economy=three_firms horizon_months=12 montecarlo.replications=3000"
$capital_loop $run execution=serial output="$work/serial" > /dev/null

echo "== a job array of three shards, and their merge"
job=$(sbatch --parsable --array=1-3 --output="$work/shard-%a.log" --export=ALL \
  --wrap "$capital_loop --shard \$SLURM_ARRAY_TASK_ID/3 $run execution=serial output=$work/array")
while squeue -h -j "$job" | grep -q .; do sleep 1; done
cat "$work"/shard-*.log
$capital_loop merge "$work/array" | tail -n 1

echo "== execution=slurm: two jobs through dask-jobqueue"
$capital_loop $run execution=slurm execution.workers=2 execution.slurm.queue=main execution.slurm.memory=1GB \
  execution.slurm.log_directory="$work" output="$work/dask" | tail -n 1

for other in array dask; do
  for table in replications defaults losses ticks; do
    diff -r "$work/serial/tables/$table" "$work/$other/tables/$table" > /dev/null && echo "$other: table $table is the same to the byte" \
      || { echo "$other: table $table differs"; exit 1; }
  done
done
