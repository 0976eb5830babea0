#!/usr/bin/env bash
# Submit one SLURM job a participant, for all who are not done yet.
#
#   submit_participants.sh SETTINGS [options of sbatch]
#
# Run it again when the jobs have ended: who failed, was killed or has no output is submitted again,
# and nobody else. Who failed for a reason that stays (exit codes 2, 16, 18, 65, 66) is only named.
set -euo pipefail

settings=$(realpath "${1:?"usage: $0 SETTINGS [options of sbatch]"}")
shift
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=docs/hpc/settings.sh
. "$settings"

name=participants-$(cksum <<<"$jobs_dir" | cut -d ' ' -f 1)
queued=$(squeue --noheader --user "$(id -un)" --name "$name" --format %i)
if [ -n "$queued" ]; then
  echo "jobs of $jobs_dir are queued or running: ${queued//$'\n'/ }; wait for them, or scancel them" >&2
  exit 75
fi

exit_code_of() { # empty if the job never came to its end
  cat "$jobs_dir/exit/$1" 2>/dev/null || true
}

has_output() {
  [ -n "$(find "$output_dir/sub-$1" -name '*_desc-preproc_T1w.json' -print -quit 2>/dev/null)" ]
}

mkdir -p "$jobs_dir/exit" "$jobs_dir/logs"
todo=() to_mend=() n_done=0
for folder in "$bids_dir"/sub-*/; do
  label=$(basename "$folder")
  label=${label#sub-}
  code=$(exit_code_of "$label")
  case $code in
  2 | 16 | 18 | 65 | 66) to_mend+=("$label ($code)") ;;
  0) if has_output "$label"; then n_done=$((n_done + 1)); else todo+=("$label"); fi ;;
  *) todo+=("$label") ;;
  esac
done
echo "done: $n_done, to do: ${#todo[@]}, to mend first: ${#to_mend[@]}"
if [ ${#to_mend[@]} -gt 0 ]; then
  printf 'to mend (exit code): %s\n' "${to_mend[@]}"
  echo "mend them, then delete their files in $jobs_dir/exit and run this again"
fi

stamp=$(date +%Y%m%dT%H%M%S)-$$
code=0
for ((first = 0; first < ${#todo[@]}; first += array_size)); do
  labels=("${todo[@]:first:array_size}")
  list=$jobs_dir/participants-$stamp-$first.txt
  printf '%s\n' "${labels[@]}" >"$list"
  sbatch --job-name "$name" --array "1-${#labels[@]}%$at_once" \
    --output "$jobs_dir/logs/%A_%a.log" "$@" "$here/participants.sbatch" "$settings" "$list" ||
    code=$?
done
exit "$code"
