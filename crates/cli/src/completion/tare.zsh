#compdef PROGRAM
# zsh completion for PROGRAM: put it as _PROGRAM into a folder of $fpath, or source it
_PROGRAM() {
    local -a lines candidates
    local line value about directive
    lines=("${(@f)$(PROGRAM __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    (( ${#lines} )) || return
    directive=${lines[-1]#:}
    for line in "${(@)lines[1,-2]}"; do
        value=${line%%$'\t'*}
        about=${line#"$value"}
        value=${value//:/\\:}
        candidates+=("$value${about:+:${about#$'\t'}}")
    done
    [[ $PREFIX == -*=* ]] && compset -P '*='
    if (( ${#candidates} )); then
        _describe 'completions' candidates
    elif (( ! (directive & 4) )); then
        _files
    fi
}
if [[ ${funcstack[1]} == _PROGRAM ]]; then
    _PROGRAM
else
    compdef _PROGRAM PROGRAM
fi
