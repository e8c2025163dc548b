# bash completion for kwatch: `source <(kwatch completion bash)`

_kwatch() {
    local program=${1/#\~/$HOME} line answer directive=4
    COMPREPLY=()
    type -P -- "$program" >/dev/null || program=kwatch
    answer=$("$program" __complete_line "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null) || return 0
    while IFS= read -r line; do
        if [[ $line =~ ^:([0-9]+)$ ]]; then
            directive=${BASH_REMATCH[1]}
        else
            line=${line%%$'\t'*}
            if [[ $line == *[!A-Za-z0-9_./:=@,%+-]* && ${COMP_WORDS[COMP_CWORD]} != [\'\"]* ]]; then
                printf -v line %q "$line"
            fi
            COMPREPLY+=("$line")
        fi
    done <<<"$answer"
    if ((directive & 2)); then compopt -o nospace; fi
    if ((directive & 16)); then compopt -o dirnames; fi
    if ((directive == 0)); then compopt -o default; fi
}

complete -F _kwatch kwatch
