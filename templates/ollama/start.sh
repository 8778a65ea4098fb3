# Serves at once, pulls the models that are missing, and only then says that it is ready.
# A model that is there is not pulled again: a restart needs no network.
set -eu

ollama serve &
server=$!
trap 'kill -TERM "$server"; wait "$server"; exit 143' TERM INT

until ollama list > /dev/null 2>&1; do
  kill -0 "$server" || exit 1
  sleep 1
done

for model in "$@"; do
  until ollama show "$model" > /dev/null 2>&1 || ollama pull "$model"; do
    kill -0 "$server" || exit 1
    echo "cannot pull $model; trying again in 15 s" >&2
    sleep 15
  done
done

touch /run/miaas/ready
wait "$server"
