# Makes the master key on the node at the first start. It is in no Git repository. LiteLLM wants it
# to begin with `sk-`.
set -eu

key=/var/lib/miaas/master-key
if [ ! -s "$key" ]; then
  (umask 077; printf 'sk-%s' "$(python3 -c 'import secrets; print(secrets.token_urlsafe(24))')" > "$key.new")
  mv "$key.new" "$key"
fi
LITELLM_MASTER_KEY="$(cat "$key")"
export LITELLM_MASTER_KEY
exec litellm "$@"
