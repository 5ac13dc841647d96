#!/usr/bin/env bash
# Schemathesis (https://schemathesis.readthedocs.io) against /openapi.json of a served run: is there a server error?
#
#     bench/serve_schemathesis.sh RUN [RUN…]
#
# It is installed into a virtual environment outside the tree (VENV, default ~/.cache/sidelight/schemathesis).
# SIDELIGHT names the program (default target/release/sidelight), EXAMPLES how many requests are tried for each route.
set -euo pipefail
venv="${VENV:-$HOME/.cache/sidelight/schemathesis}"
[ -x "$venv/bin/schemathesis" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet 'schemathesis==4.32.5'; }
said="$(mktemp)"
"${SIDELIGHT:-target/release/sidelight}" serve "$@" --addr 127.0.0.1:0 --timeout 5 --log off > "$said" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -f "$said"' EXIT
for _ in $(seq 100); do grep -q '^http' "$said" && break; sleep 0.1; done
"$venv/bin/schemathesis" run "$(cat "$said")/openapi.json" \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method \
  --max-examples "${EXAMPLES:-200}" --seed 0 --no-color
