#!/bin/sh
# Compile the simulation and run it: ./simulate.sh STEPS
set -e
cc -O2 -o nbody nbody.c -lm
./nbody "$1" path.csv
sort -t, -k2 -g path.csv | tail -n 1 > farthest.txt
