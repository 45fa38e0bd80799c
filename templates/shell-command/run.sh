#!/bin/sh
# Compiles the program for the machine of the trial, and becomes it: `exec`, so that signals reach it.
set -eu
[ -x anneal ] || cc -O2 -o anneal anneal.c -lm
exec ./anneal "$@"
