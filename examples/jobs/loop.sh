#!/bin/sh
# A replay whose jobs are processes of their own, some at once: loop.sh PLACE OPTIONS
# PLACE is a folder or s3://BUCKET/PREFIX, OPTIONS are those of `tilefold replay plan`.
set -eu
place=$1
shift
tilefold replay plan --to "$place" "$@" --json > plan.json

# [[0,1],[2]]: the jobs of a wave need nothing of each other, and all that was made in the waves before.
grep -o '"waves":.*' plan.json | grep -o '\[[0-9][0-9,]*\]' | tr -d '[]' | while read -r wave; do
  echo "$wave" | tr , '\n' | xargs -P "${AT_ONCE:-2}" -n 1 tilefold replay job "$place"
done
tilefold replay finish "$place"
