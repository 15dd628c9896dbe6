#!/bin/sh
# The entry point of a gateway pod, where stock Submariner's image has a script of this name: its
# DaemonSet starts this one with the same environment. Runs the data path and the gateway.
#
#   the gateway ends      it is started again, later and later; the data path forwards meanwhile
#   the data path ends    so does this script, with its exit code: the kubelet starts the pod again
#   SIGTERM               the gateway is told first, then the data path
#
# HAWSER names the program; arguments go to `hawser gateway`.
set -u

hawser=${HAWSER:-hawser}
HAWSER_INTERFACE=${HAWSER_INTERFACE:-hawser0}
# The DaemonSet of stock has stock's route agents beside it.
HAWSER_STOCK_AGENTS=${HAWSER_STOCK_AGENTS:-true}
export HAWSER_INTERFACE HAWSER_STOCK_AGENTS

say() {
  printf 'submariner.sh: %s\n' "$*" >&2
}

if [ "${SUBMARINER_UNINSTALL:-}" = true ]; then
  exec "$hawser" gateway "$@"
fi

# Packets that come in by one interface and leave by the same one are what a gateway is for.
if ! { echo 0 >/proc/sys/net/ipv4/conf/all/send_redirects; } 2>/dev/null; then
  say 'cannot write net.ipv4.conf.all.send_redirects: the pod is not privileged'
fi
if [ ! -e /dev/net/tun ]; then
  mkdir -p /dev/net && mknod /dev/net/tun c 10 200 || say 'there is no /dev/net/tun'
fi

# In a process of its own, which ends with its gateway when it is told to.
keep_gateway() {
  child=
  pause=1
  trap 'trap - TERM; [ -n "$child" ] && kill -TERM "$child" 2>/dev/null; wait; exit 0' TERM
  while :; do
    began=$(date +%s)
    "$hawser" gateway "$@" &
    child=$!
    wait "$child"
    code=$?
    # It was well for a minute: what ended it is something else.
    [ $(($(date +%s) - began)) -ge 60 ] && pause=1
    say "the gateway has ended with exit code $code; again in $pause s"
    sleep "$pause" &
    child=$!
    wait "$child"
    pause=$((pause * 2))
    [ "$pause" -gt 30 ] && pause=30
  done
}

"$hawser" datapath --interface "$HAWSER_INTERFACE" \
  ${HAWSER_SOCKET:+--socket "$HAWSER_SOCKET"} &
datapath=$!
keep_gateway "$@" &
gateway=$!

# All of it, here: a signal may come before there is a wait that it could end.
end() {
  trap '' TERM INT
  kill -TERM "$gateway" 2>/dev/null
  wait "$gateway"
  kill -TERM "$datapath" 2>/dev/null
  wait "$datapath"
  exit $?
}
trap end TERM INT
wait "$datapath"
code=$?
trap '' TERM INT
say "the data path has ended with exit code $code"
kill -TERM "$gateway" 2>/dev/null
wait "$gateway"
exit "$code"
