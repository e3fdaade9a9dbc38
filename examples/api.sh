#!/bin/sh
# From a model to a trained adapter over HTTP: plan, data, training, events, files.
#
#   tailora serve --models /path/to/models            in another terminal
#   examples/api.sh /path/to/models/MODEL answers.jsonl [BUDGET] [STEPS]
#
# MODEL is a folder below that of --models, or a Hub id; the adapter goes into ./adapter.
# TAILORA_URL is where the service is, TAILORA_API_KEY a key where it asks for one.
set -eu

model=$1 data=$2 budget=${3:-12} steps=${4:-20}
url=${TAILORA_URL:-http://localhost:8000}

ask() { # ask METHOD PATH [curl's options]: the answer's body; an error's body, and exit code 22
    method=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body --request "$method" "$url$path" \
        ${TAILORA_API_KEY:+--header "Authorization: Bearer $TAILORA_API_KEY"} "$@"
}
field() { # field NAME: that of the JSON on standard input; all of it where it has none
    python3 -c 'import json, sys
found = json.load(sys.stdin)
print(found[sys.argv[1]]) if sys.argv[1] in found else sys.exit(json.dumps(found))' "$1"
}
json='Content-Type: application/json'

echo "a plan"
plan=$(ask POST /v1/plans --header "$json" --header 'Prefer: wait=60' \
    --data "{\"model\": \"$model\", \"expert_budget\": $budget}" | field id)
while status=$(ask GET "/v1/plans/$plan" --header 'Prefer: wait=60' | field status); do
    case $status in
        succeeded) break ;;
        queued | running) sleep 1 ;;
        *) echo "$plan: $status; see $url/v1/plans/$plan" >&2 && exit 1 ;;
    esac
done
ask GET "/v1/plans/$plan/export?format=csv"

echo "its data"
name=$(basename "$data")
dataset=$(ask POST "/v1/datasets?name=$name" --header 'Content-Type: application/octet-stream' \
    --data-binary "@$data" | field id)

echo "a training: its events, until it has ended"
training=$(ask POST /v1/trainings --header "$json" --header "Idempotency-Key: $plan-$dataset" \
    --data "{\"plan_id\": \"$plan\", \"dataset\": \"$dataset\", \"settings\": {
        \"schedule.steps\": $steps, \"schedule.warmup_steps\": 0,
        \"schedule.batch\": 16, \"schedule.micro_batch\": 8, \"data.length\": 64}}" | field id)
ask GET "/v1/trainings/$training/events" --header 'Accept: text/event-stream' --no-buffer
status=$(ask GET "/v1/trainings/$training" | field status)
echo "$training $status"
[ "$status" = succeeded ]

echo "its adapter"
for file in adapter_config.json adapter_model.safetensors; do
    ask GET "/v1/trainings/$training/adapter/$file" --create-dirs --output "adapter/$file"
done
ls adapter
