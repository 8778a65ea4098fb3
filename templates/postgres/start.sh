# Makes the password on the node at the first start. It is in no Git repository and in no setting
# of the container; only the server's user can read the file.
set -euo pipefail

if [ ! -s "$POSTGRES_PASSWORD_FILE" ]; then
  umask 077
  head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' > "$POSTGRES_PASSWORD_FILE.new"
  mv "$POSTGRES_PASSWORD_FILE.new" "$POSTGRES_PASSWORD_FILE"
fi
exec docker-entrypoint.sh "$@"
