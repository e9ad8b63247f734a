#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# One evening of an integration, which may be run as often as one likes. Needs curl and jq. URL, CLIENT_ID and CLIENT_SECRET (an officer's service account)
# come from the environment, and STATE names a file: what must outlive a run is there.
set -euo pipefail
STATE=${STATE:-state.json}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -e "$STATE" ] || echo '{"runs": 0, "cursor": null, "copy": {}, "event": null}' > "$STATE"

state() { jq -r "$1 // empty" "$STATE"; }
# Whole or not at all: written beside, then renamed.
remember() { jq "$@" "$STATE" > "$STATE.new" && mv "$STATE.new" "$STATE"; }

# The secret goes through a file that only we can read, not through arguments that every process sees. A token is good for ten minutes.
(umask 077 && printf 'user = "%s:%s"\n' "$CLIENT_ID" "$CLIENT_SECRET" > "$work/credentials")
granted=$(curl -sS --fail-with-body --retry 8 -K "$work/credentials" -d grant_type=client_credentials "$URL/oauth/token") || { echo "no token: $granted" >&2; exit 1; }
(umask 077 && printf 'header = "Authorization: Bearer %s"\n' "$(jq -r .access_token <<< "$granted")" > "$work/token")

# send "allowed statuses" METHOD URL [curl's options]: leaves $status, $etag, and the answer in $work/body. curl repeats what got 429 or 503 (after Retry-After) or
# no answer. All of ours may be repeated: reads, PUT, If-Match, and POST with a key.
send() {
	local allowed=$1 method=$2 url=$3 type=application/json
	shift 3
	[ "$method" != PATCH ] || type=application/merge-patch+json
	[[ $url == http* ]] || url=$URL$url
	: > "$work/body"
	status=$(curl -sS --max-time 30 --retry 8 --retry-all-errors -K "$work/token" -H "Content-Type: $type" "$@" -X "$method" \
		-D "$work/headers" -o "$work/body" -w '%{http_code}' "$url" 2> "$work/log") || { cat "$work/log" >&2; exit 1; }
	etag=$(sed -n 's/^[Ee][Tt]ag: *\(.*\)\r$/\1/p' "$work/headers" | tail -1)
	if [ "$status" -ge 400 ] && [[ " $allowed " != *" $status "* ]]; then
		# a problem document: each fault has its place and a code that does not change
		jq -r '"\(.status) \(.title)", (.errors[]? | "\(.pointer // .parameter): \(.detail)")' "$work/body" >&2
		exit 1
	fi
}

remember '.runs += 1'

# Rehearse a faulty record: every fault is told at once, and nothing is stored.
send 400 PUT '/v1/consultations?external_id=cms/0&dry_run=true' -d '{"titel": "Benches", "topics": "parks"}'
echo "faults: $(jq -r '[.errors[] | "\(.pointer) \(.code)"] | sort | join(" ")' "$work/body")"

# Our records, under the ids that they have at home: made when they are not there, left alone when nothing differs.
for number in 1 2 3; do
	send "" PUT "/v1/consultations?external_id=cms/$number" -d @- <<-END
		{"title": "Benches, part $number", "summary": "Where to put them.", "visibility": "shared"}
	END
	[ "$status" = 201 ] && echo "cms/$number: created" || echo "cms/$number: already there"
	consultation=$(jq -r .id "$work/body")
done

# A list, page by page. What is asked for stays the same from page to page, so the link says it all.
send "" GET /v1/me
url="/v1/consultations?partner_id=$(jq -r .partner_id "$work/body")&fields=title&sort=title&limit=2"
pages=0 titles=0
while [ -n "$url" ]; do
	send "" GET "$url"
	titles=$((titles + $(jq '.items | length' "$work/body"))) pages=$((pages + 1))
	url=$(jq -r '.links[] | select(.rel == "next").href' "$work/body")
done
echo "$titles consultations on $pages pages"

# A POST has no id of ours to find it by. Its key is kept before it is sent, so that it makes one record, whatever is lost on the way.
[ -n "$(state .event)" ] || remember --arg key "$(cat /proc/sys/kernel/random/uuid)" '.event = {key: $key}'
if [ -z "$(state .event.id)" ]; then
	send "" POST /v1/activities -H "Idempotency-Key: $(state .event.key)" -d @- <<-END
		{"title": "Walk to the benches", "kind": "event", "visibility": "shared", "consultation_id": "$consultation"}
	END
	remember --arg id "$(jq -r .id "$work/body")" --arg etag "$etag" '.event += {id: $id, etag: $etag}'
fi

# A change from the version that we know. 412: somebody was faster; read, decide again, and send the change with what was read.
event=/v1/activities/$(state .event.id) attempts=0 status=412
while [ "$status" = 412 ]; do
	attempts=$((attempts + 1))
	send 412 PATCH "$event" -H "If-Match: $(state .event.etag)" -d "{\"venue\": \"Example Hall, room $(state .runs)\"}"
	changed=$status
	[ "$changed" != 412 ] || send "" GET "$event"
	remember --arg etag "$etag" '.event.etag = $etag'
	status=$changed
done
echo "changed at attempt $attempts"

# What changed since the last run, ours and others', into a copy. The cursor is kept when what it stands for is done.
while :; do
	cursor=$(state .cursor)
	send "" GET "/v1/changes?limit=500${cursor:+&after=$cursor}"
	cp "$work/body" "$work/feed"
	for id in $(jq -r '[.items[] | select(.resource == "consultations").id] | unique[]' "$work/feed"); do
		known=$(state ".copy[\"$id\"].etag")
		send 404 GET "/v1/consultations/$id" ${known:+-H "If-None-Match: $known"}
		if [ "$status" = 404 ]; then # deleted, or not ours to see any more
			remember --arg id "$id" 'del(.copy[$id])'
		elif [ "$status" = 200 ]; then # 304: the copy is right
			remember --arg id "$id" --arg etag "$etag" --slurpfile now "$work/body" '.copy[$id] = {etag: $etag, title: $now[0].title, version: $now[0].version}'
		fi
	done
	remember --slurpfile feed "$work/feed" '.cursor = $feed[0].cursor'
	[ "$(jq '.items | length' "$work/feed")" -gt 0 ] || break
done
