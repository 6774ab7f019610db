# bash completion for PROGRAM: source it, or put it into /etc/bash_completion.d
_PROGRAM_complete() {
    local line=${COMP_LINE:0:COMP_POINT} words word value prefix directive
    local -a lines
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] || -z $line ]] && words+=("")
    word=${words[${#words[@]} - 1]}
    mapfile -t lines < <(PROGRAM __complete "${words[@]:1}" 2>/dev/null)
    [[ ${#lines[@]} -eq 0 ]] && return
    directive=${lines[${#lines[@]} - 1]#:}
    unset "lines[${#lines[@]} - 1]"
    COMPREPLY=()
    # What bash takes for a word of its own ends at the last of these letters.
    prefix=${word%"${word##*[:=]}"}
    [[ $word == -*=* ]] && prefix=${prefix#*=}
    for value in "${lines[@]}"; do
        value=${value%%$'\t'*}
        COMPREPLY+=("${value#"$prefix"}")
    done
    if [[ ${#COMPREPLY[@]} -eq 0 && $((directive & 4)) -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "${word##*=}")
        compopt -o filenames 2>/dev/null
    fi
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *, ]] && compopt -o nospace 2>/dev/null
}
complete -F _PROGRAM_complete PROGRAM
