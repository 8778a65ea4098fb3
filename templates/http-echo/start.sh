# Notes each start in the volume, so that one can see at /state/starts.txt that it outlives the
# container, and serves the page.
set -eu
/bin/busybox date -u +%Y-%m-%dT%H:%M:%SZ >> /www/state/starts.txt
exec /bin/busybox httpd -f -v -p 8080 -h /www
