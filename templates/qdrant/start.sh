# Makes the key of the API on the node at the first start. It is in no Git repository.
set -euo pipefail

key=/qdrant/storage/miaas-api-key
if [ ! -s "$key" ]; then
  (umask 077; head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' > "$key.new")
  mv "$key.new" "$key"
fi
QDRANT__SERVICE__API_KEY="$(cat "$key")"
export QDRANT__SERVICE__API_KEY
cd /qdrant
exec ./entrypoint.sh
