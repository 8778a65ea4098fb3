# Notes each start in the volume, so that one can see at /state/starts.txt that it outlives the
# container, and serves the page. The first process of a container gets no signal that it does not
# ask for: without the trap every stop would take the whole grace period.
set -eu
/bin/busybox date -u +%Y-%m-%dT%H:%M:%SZ >> /www/state/starts.txt
/bin/busybox httpd -f -v -p 8080 -h /www &
server=$!
trap 'kill -TERM "$server"' TERM INT
wait "$server"
