#!/bin/sh
# usage: scripts/driver.sh lavapipe|swiftshader: prints the path of that software Vulkan driver's manifest, or nothing.
set -eu
. scripts/lib.sh
driver "$1"
