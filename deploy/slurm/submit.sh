#!/usr/bin/env bash
# The whole job: what all shards go by, then the shards, then the merge, each after the one before.
#   submit.sh pipeline.toml outputs/NAME 16 [options of sbatch for the shards]
# The folder is the one that the pipeline names as its output; all machines share it.
set -euo pipefail

[ $# -ge 3 ] || { echo "submit.sh PIPELINE OUTPUT SHARDS [sbatch options]" >&2; exit 2; }
pipeline="$1" output="$2" shards="$3"
shift 3
here="$(cd "$(dirname "$0")" && pwd)"
kgbuild="${KGBUILD:-kgbuild}"

# A word as a shell reads it again.
quoted() { printf '%q' "$1"; }

plan="$(sbatch --parsable --job-name=kgbuild-plan "$@" \
    --wrap "exec $(quoted "$kgbuild") plan $(quoted "$pipeline")")"
run="$(sbatch --parsable --array="1-$shards" --dependency="afterok:${plan%%;*}" "$@" \
    "$here/shard.sbatch" "$pipeline")"
merge="$(sbatch --parsable --job-name=kgbuild-merge --dependency="afterok:${run%%;*}" "$@" \
    --wrap "exec $(quoted "$kgbuild") merge $(quoted "$output")")"
echo "plan $plan, $shards shards $run, merge $merge"
