#!/bin/sh
# Lets a stable rustdoc write JSON. Cargo itself must not see the variable: build scripts run again when it changes.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
