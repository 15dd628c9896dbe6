#!/bin/sh
# Waits until the Node that this pod is on is ready: an init container of stock Submariner's DaemonSet
# calls a script of this name. NODE_NAME says which Node; HAWSER names the program.
set -u
exec "${HAWSER:-hawser}" gateway wait-node "$@"
