#!/bin/sh
# What runs have reached, as rows of a table. Usage: collect.sh FOLDER...
echo '| run | test, bits per dimension | parameters | epochs | minutes |'
echo '|---|---|---|---|---|'
for run; do
    leat inspect "$run/model.safetensors" --json --threads 1 | awk -v run="$run" -v losses="$run/loss.csv" '
        function number(key) { return match($0, "\"" key "\":[0-9.e+-]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) : "?" }
        { while ((getline line <losses) > 0) { split(line, field, ","); seconds += field[4] + 0 }
          printf "| %s | %.3f | %s | %s | %.0f |\n", run, number("test_bits_per_dimension"), number("parameters"),
              number("epochs"), seconds / 60 }'
done
