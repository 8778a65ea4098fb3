"""What people wrote into the repository of the fleet."""

from __future__ import annotations

from examples.tour.world import IMAGE

# The shortest times that a fence allows here: see `schemas.fencing`.
FENCED = "{stopAfter: 21s, loseAfter: 63s}"
FLEET = """\
apiVersion: miaas/v1
kind: Fleet
metadata: {name: worst-day}
spec:
  timings: {heartbeat: 2s, late: 6s, lost: 45s, poll: 1s}
  guards: {evacuationsPerMinute: 10, maxRemovals: "100%"}
"""
RECORD = """\
apiVersion: miaas/v1
kind: Node
metadata: {name: %s, labels: {place: %s}}
spec: {duty: %s}
"""
TEMPLATE = """\
apiVersion: miaas/v1
kind: Template
metadata: {name: page}
spec:
  description: A page of one line.
  parameters:
    type: object
    additionalProperties: false
    properties:
      text: {type: string, description: What it says., maxLength: 99, default: hello}
      ends: {type: boolean, description: Whether it ends at once., default: false}
  resources: {cpu: 10m, memory: 16MiB, disk: 16MiB}
  ports: [{name: http, container: 8080}]
"""
COMPOSE = """\
services:
  web:
    image: IMAGE
    pull_policy: never
    entrypoint: ["/bin/busybox", "sh", "/miaas/start.sh"]
    command: {{ ["ends"] if params.ends else ["serves"] }}
    restart: unless-stopped
    stop_signal: SIGKILL
    ports:
      - {{ ports.http ~ ":8080" }}
    volumes:
      - ./start.sh:/miaas/start.sh:ro
      - ./index.html:/www/index.html:ro
    healthcheck:
      test: ["CMD", "/bin/busybox", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/"]
      interval: 1s
      timeout: 5s
      retries: 10
""".replace("IMAGE", IMAGE)
START = """\
set -eu
test "$1" = serves || exit 1
exec /bin/busybox httpd -f -p 8080 -h /www
"""
