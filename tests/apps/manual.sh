#!/bin/bash
# The manual of leat: all of its commands, in its order, and its table of first lines.
# Usage: manual.sh LEAT MANUAL TRAIN_GLOW
manual=$(realpath "$2") glow=$(realpath "$3")
. "$(dirname "$0")/program.sh"
mkdir bin && ln -s "$program" bin/leat && ln -s "$glow" bin/train_glow && PATH=$PWD/bin:$PATH

mkdir session
awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$manual" >session.sh
[ "$(wc -l <session.sh)" -gt 20 ] || fail "no commands in the manual"
# A line of commands fails if one of them does; "! command" must fail.
cp session.sh err
(cd session && bash -c 'set -eo pipefail; trap "echo stopped at: \$BASH_COMMAND" ERR; while IFS= read -r -d "" part; do
    case $part in "! "*) eval "${part#! }" && { echo "not refused: $part"; exit 1; } || [ $? -eq 1 ] ;; *) eval "$part" ;; esac
done' < <(awk '{ text = text $0 "\n"; n = gsub(/\x27/, "\x27"); quotes += n } quotes % 2 == 0 && !/\\$/ { printf "%s%c", text, 0; text = "" }' \
    ../session.sh)) >log 2>&1 || { fail "the manual's commands"; tail -n 5 log; }
[ -s session/people.png ] && [ -s session/flow.py ] && [ -s session/again.csv ] && [ -s session/one-3.png ] || fail "the session did not get to its end"

rows=0
while IFS='|' read -r _ line taken _; do
    line=$(sed 's/^ *`//; s/` *$//' <<<"$line") taken=$(tr -d ' ' <<<"$taken") rows=$((rows + 1))
    { echo "$line"; printf '1.25,2.5\n2.75,4\n3.5,5.75\n9,7\n'; } >first.csv
    rm -f first.leat
    "$program" fit first.csv -o first.leat --epochs 0 --couplings 1 --hidden 2 --quiet --batch 4 >out 2>err
    if [ -e first.leat ] && "$program" inspect first.leat | grep -q '^features  *[^0-9]'; then got=names; else got=data; fi
    [ "$got" = "$taken" ] || fail "the first line $line is taken for $got, not for $taken"
done < <(awk -F'|' '/taken for \| because/ { inside = 1; getline; next } !/^\|/ { inside = 0 } inside' "$manual")
[ $rows -ge 8 ] || fail "no table of first lines"

[ $failures -eq 0 ]
