#!/bin/sh
# Share a result: export it here, then import and replay it in an empty folder, as another user with another key.
#
#     sh examples/share.sh
set -eu

# The author exports the run that the paper cites, with everything that belongs to it, to one file.
recorder run examples/pi.py:estimate_pi points=40000 --tag paper
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
recorder export paper "$folder/paper.zip"

# The reader has only that file and recorder. --trust allows running the author's code and loading the author's
# pickles.
cd "$folder"
export RECORDER_KEY_FILE="$folder/another-key"
recorder import paper.zip --trust
recorder show paper
recorder replay paper
