#!/bin/sh
# A result that somebody else runs again: exported here, imported and replayed in an empty folder, by a person with
# another key.
#
#     sh examples/share.sh
set -eu

# The author: a run that the paper cites, and all that belongs to it, in one file.
recorder run examples/pi.py:estimate_pi points=40000 --tag paper
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
recorder export paper "$folder/paper.zip"

# The reader: nothing but that file and recorder. --trust says that it may run the author's code, and load what the
# author has pickled.
cd "$folder"
export RECORDER_KEY_FILE="$folder/another-key"
recorder import paper.zip --trust
recorder show paper
recorder replay paper
