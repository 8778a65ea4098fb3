# Healthy when it answers: while it loads its data it says LOADING, and redis-cli still exits 0.
REDISCLI_AUTH="$(cat /data/miaas-password)" redis-cli ping | grep -q '^PONG$'
