# Makes the password on the node at the first start. It is in no Git repository and on no command
# line: the server reads it from a file in memory.
set -eu
umask 077

if [ ! -s /data/miaas-password ]; then
  head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' > /data/miaas-password.new
  mv /data/miaas-password.new /data/miaas-password
fi
printf 'requirepass %s\n' "$(cat /data/miaas-password)" > /run/miaas/password.conf
exec redis-server /run/miaas/password.conf --dir /data "$@"
