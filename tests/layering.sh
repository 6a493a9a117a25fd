#!/bin/bash
# A folder includes only itself and the folders before it in this list. Every #include "..." is resolved as the compiler
# does, from the folder of the file that it stands in.
set -u
cd "$(dirname "$0")/.." || exit 1
order=(tensor autograd nn flows apps)

rank() { # of the folder that a path begins with, or nothing
    local i
    for i in "${!order[@]}"; do
        if [[ $1 == "${order[i]}"/* ]]; then
            echo "$i"
            return
        fi
    done
}

files=0 wrong=0
while IFS= read -r file; do
    files=$((files + 1))
    while IFS=: read -r line include; do
        name=$(sed -E 's/^[^"]*"([^"]*)".*/\1/' <<<"$include")
        target=$(realpath -m --relative-to=. "$(dirname "$file")/$name")
        reached=$(rank "$target")
        if [ ! -f "$target" ]; then
            echo "$file:$line: \"$name\" is not a file of this tree"
            wrong=$((wrong + 1))
        elif [ -z "$reached" ] || [ "$reached" -gt "$(rank "$file")" ]; then
            echo "$file:$line: $(dirname "$file") must not include $target"
            wrong=$((wrong + 1))
        fi
    done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$file")
done < <(find "${order[@]}" -name '*.[ch]' | sort)

echo "$files files, $wrong wrong includes"
[ "$files" -gt 0 ] && [ "$wrong" -eq 0 ]
