#!/bin/sh
# Stands in for `hawser` in tests of the image's entry points. What is asked of it goes to $FAKE_LOG, a
# line each. `datapath` lasts until a signal or until $FAKE_END is there, then ends with exit code 3;
# `gateway` ends with exit code 1 as often as $FAKE_FAILURES says, and lasts after that.
what=$1
echo "$* agents=${HAWSER_STOCK_AGENTS:-} pid=$$" >>"$FAKE_LOG"
trap 'echo "$what got TERM" >>"$FAKE_LOG"; exit 0' TERM
if [ "$what" = gateway ]; then
  starts=$(grep -c '^gateway.*pid=' "$FAKE_LOG")
  [ "$starts" -le "${FAKE_FAILURES:-0}" ] && exit 1
  [ "${SUBMARINER_UNINSTALL:-}" = true ] && exit 5
  [ "${2:-}" = wait-node ] && exit 4
fi
while [ ! -e "$FAKE_END" ]; do sleep 0.05; done
[ "$what" = datapath ] && exit 3
exit 0
