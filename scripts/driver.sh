#!/bin/sh
# usage: scripts/driver.sh lavapipe|swiftshader|radv: prints the path of that Vulkan driver's manifest, or nothing; radv
# is one that can compile for AMD GPUs that are not there.
set -eu
. scripts/lib.sh
driver "$1"
